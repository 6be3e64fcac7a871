"""The names that a program gives: of pools, sessions, operations and listeners. Checked where they come in.

They travel to workers, into logs, metrics and files, each of which would stumble over what is no text, or very long.
"""

from __future__ import annotations

import functools

LONGEST_BYTES = 256


def is_label(value: object) -> bool:
    """Whether it is a string of 1 to 256 bytes of UTF-8."""
    if not isinstance(value, str):
        return False
    text = str.__str__(value)
    try:
        return 0 < len(text) <= LONGEST_BYTES and len(text.encode()) <= LONGEST_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair, as `os.fsdecode` makes of bytes that are no UTF-8
        return False


def check_label(what: str, value: object) -> str:
    """The name as plain text, of a subclass of `str` too.

    Raises `TypeError` for what is no string, `ValueError` for what is not 1 to 256 bytes of UTF-8.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} is a string, not {value!r}")
    if not is_label(value):
        raise ValueError(f"{what} is 1 to {LONGEST_BYTES} bytes of UTF-8, not {value[:LONGEST_BYTES]!r}")
    return str.__str__(value)


@functools.lru_cache(1024)  # each call of a function asks
def made_label(text: str) -> str:
    """A name made of what Python calls something: what cannot be in it is escaped, what is too long is cut."""
    return text.encode(errors="backslashreplace")[:LONGEST_BYTES].decode(errors="ignore") or "nameless"
