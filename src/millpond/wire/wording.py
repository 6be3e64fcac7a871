"""What can be said of an exception whatever it does: its type's name, its text, its traceback.

Nothing here raises, even if the exception's own methods do; what is too long loses its middle. Used by `codec` and
`exceptions`.
"""

from __future__ import annotations

import signal
import traceback
from functools import partial
from typing import Any

_OURS = __file__.rpartition("wire")[0]  # the package
TEXT_LIMIT = 16 * 1024
TRACEBACK_LIMIT = 64 * 1024


def type_name(kind: type) -> str:
    """The qualified name of a class, without `builtins.`."""
    try:
        module, name = kind.__module__, kind.__qualname__
        return plain_text(name if module == "builtins" else f"{module}.{name}", TEXT_LIMIT)
    except BaseException:
        return "an exception without a readable name"


def error_text(error: BaseException) -> str:
    """`str(error)`, or that it has none."""
    try:
        return plain_text(str(error), TEXT_LIMIT)
    except BaseException as failure:
        return f"<no text: its __str__ raised {type_name(type(failure))}>"


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, causes included, or at least the frames of the error itself."""
    try:
        return plain_text("".join(traceback.format_exception(error)), TRACEBACK_LIMIT)
    except BaseException:
        return _frames_only(error)


def plain_text(text: str, limit: int) -> str:
    """An exact `str` that encodes as UTF-8, at most about `limit` characters long."""
    text = str.encode(text, "utf-8", "backslashreplace").decode()
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def is_from_signal(interrupt: KeyboardInterrupt) -> bool:
    """Whether a `KeyboardInterrupt` is Ctrl-C, and was not raised by somebody else's code that ran at that moment.

    Python's own handler raises it in the function at work, which is then one of ours; a program's or asyncio's handler
    is a function of its own.
    """
    handler: Any = signal.getsignal(signal.SIGINT)
    while isinstance(handler, partial):
        handler = handler.func
    code = getattr(handler, "__code__", None)
    passed = [frame.f_code for frame, _ in traceback.walk_tb(interrupt.__traceback__)]
    return any(one is code for one in passed) or (bool(passed) and passed[-1].co_filename.startswith(_OURS))


def _frames_only(error: BaseException) -> str:
    try:
        frames = "".join(traceback.format_tb(error.__traceback__))
        return plain_text(f"{frames}{type_name(type(error))}: {error_text(error)}\n", TRACEBACK_LIMIT)
    except BaseException:
        return f"{type_name(type(error))}: {error_text(error)}\n"
