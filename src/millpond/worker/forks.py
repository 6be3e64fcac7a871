"""Children that an operation forks (`os.fork`, multiprocessing): they get none of the worker's business.

A child that returns from the operation into the worker's code leaves the process there: the call is its parent's to
answer, once. It holds a copy of everything else, so it gives the socket up at birth.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from millpond.worker.channel import FrameChannel


def disown_in_children(channel: FrameChannel) -> None:
    """From now on close the socket in every forked child. Cannot be undone: for real workers only."""
    # Before the child runs any code of the handler's. A frame that another thread was writing at the fork is the
    # parent's to finish: the child's copy of the socket is closed, and its copy of the lock is of no use to anybody.
    os.register_at_fork(after_in_child=channel.disown)


def leave_forked_child(error: BaseException | None) -> NoReturn:
    """End the child as a program would that came to its end, or raised `error`."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)
