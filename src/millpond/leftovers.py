"""Pools nobody closed: said once at the interpreter's exit, and unusable in a forked child.

The workers need no help to go: the warden sees its parent end. Knows pools only as weak references.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.pool import Pool

LEFT_OPEN: weakref.WeakSet[Pool] = weakref.WeakSet()


def _warn() -> None:
    for pool in list(LEFT_OPEN):
        sys.stderr.write(f"millpond: pool {pool.name!r} was not closed; its workers are ended with this process\n")


def _disown() -> None:
    """In a forked child: the workers belong to the parent."""
    for pool in list(LEFT_OPEN):
        pool.disown()
    LEFT_OPEN.clear()


atexit.register(_warn)
os.register_at_fork(after_in_child=_disown)
