"""What warm-up commands run in a worker beside operations; what they return is not sent anywhere."""

from __future__ import annotations

import importlib
from typing import Any

from millpond.wire.functions import thaw_function


def import_module(name: str) -> None:
    """Import a module, so that no call has to."""
    importlib.import_module(name)


def run_frozen(blob: bytes, *args: Any, **kwargs: Any) -> None:
    """Run a function that came frozen."""
    thaw_function(blob)(*args, **kwargs)
