"""Text that cannot lie where it is read: one line, and no character that is not seen as what it is.

For log records, exported labels and everything else that people read and others wrote. Nothing here raises because of
a value. Part of the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from traceback import walk_tb
from types import TracebackType

# Where an exception was raised, whatever its class makes of that attribute.
traceback_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__
PLACES = 3  # of a traceback that are told, the innermost first


def escaped(text: str) -> str:
    """`text` with JSON's escapes for all that Unicode does not call printable: control, format (bidirectional and
    invisible ones), surrogate and unassigned characters, and every space but the plain one.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def brief_of(error: BaseException) -> str:
    """An exception's type and where it was raised, without its text: that is somebody else's and may hold anything."""
    walked = list(walk_tb(traceback_of(error)))[-PLACES:]
    places = (f"{one.f_code.co_name} ({one.f_code.co_filename}:{line})" for one, line in reversed(walked))
    try:
        name = str(type(error).__qualname__)
    except BaseException:  # its metaclass says so
        name = "an exception without a readable name"
    return escaped(" < ".join([f"{name} in " + next(places, "code without a place"), *places]))
