"""Which engine a name means, and whether this system can carry it.

The engine itself is imported only once it is asked for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.seams import Engine


def make_engine(name: str, start_method: str) -> Engine:
    """The engine of that name. Raises `ValueError` for an unknown one, `OSError` where the system cannot carry it."""
    if name != "local":
        raise ValueError(f"unknown engine {name!r}; there is 'local'")
    check_platform(sys.platform, start_method)
    from millpond.engine.local import LocalEngine

    return LocalEngine()


def check_platform(platform: str, start_method: str) -> None:
    """Raise `OSError` where local workers cannot be made in this way."""
    if platform == "win32":
        raise OSError("Millpond needs Linux, or macOS with start_method='spawn'; it does not run on Windows")
    if platform == "darwin" and start_method == "fork":
        raise OSError("on macOS forked workers are not safe; use start_method='spawn'")
