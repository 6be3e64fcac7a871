"""What Python runs at the end of a program, at the ordinary end of a worker: multiprocessing's finalizers, those of
`weakref`, and `atexit`.

In a forked worker only what was registered in the worker itself: the rest is the image's, and would take from the other
workers what all share (a folder that `preload()` made). Comes after `teardown`; bounded.

A child that an operation forks (`os.fork`, multiprocessing) and that returns from it into the worker's code leaves the
process there: the call is its parent's to answer, once.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import traceback
import weakref
from typing import Any, NoReturn

TIME_S = 1.0  # of the two seconds that the pool gives a worker to go


def forget_inherited() -> None:
    """In a forked worker, before code of the handler's runs: leave to the image what was registered there."""
    finalize: Any = weakref.finalize
    util: Any = sys.modules.get("multiprocessing.util")
    atexit._clear()
    for inherited in list(finalize._registry):
        inherited.atexit = False
    if finalize._registered_with_atexit:  # it would not register again
        atexit.register(finalize._exitfunc)
    if util is not None:
        util._finalizer_registry.clear()
        atexit.register(util._exit_function)


def run_finalizers(code: int) -> None:
    """Run them in this thread; if they take too long the process ends with `code` meanwhile."""
    threading.Thread(target=_end_in_time, args=(code,), name="millpond-end", daemon=True).start()
    atexit._run_exitfuncs()


def _end_in_time(code: int) -> None:
    time.sleep(TIME_S)
    try:
        sys.stderr.write(f"the worker's finalizers took more than {TIME_S:g} s and were left\n")
    finally:
        os._exit(code)


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
