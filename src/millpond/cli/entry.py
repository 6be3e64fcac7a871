"""The way in: says what to install when a command's libraries are missing, before anything imports them.

Comes before `app`, which needs them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec

from millpond.cli.exit_codes import INTERRUPTED

NEEDS = ("cyclopts", "rich")


def check_installed(names: Iterable[str], extra: str) -> None:
    """Exit with the command that installs what is missing of these, if anything is."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        print(f"millpond: this needs {' and '.join(missing)}: pip install 'millpond[{extra}]'", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """Run the command line and exit with its code; where a library is missing, say how to install it."""
    check_installed(NEEDS, "cli")
    try:
        from millpond.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
