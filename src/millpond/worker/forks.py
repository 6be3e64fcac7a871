"""Children that an operation forks (`os.fork`, multiprocessing): they get none of the worker's business.

A child that returns from the operation into the worker's code leaves the process there: the call is its parent's to
answer, once. It holds a copy of everything else, so it gives the socket up at birth.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn


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
