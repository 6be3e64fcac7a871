"""What a worker sends ahead of a session's answer when durability asks for it: the state the call leaves.

Nothing if it is as it was, what differs in the middle if that is smaller, else all of it. Both ends know the state that
was sent last: what was sent ahead of the last answer, or came with the session. Used after a state is encoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from millpond.wire.frames import SEGMENTED, ProtocolError
from millpond.wire.segments import Parts

# Flags of a SAVED frame, beside SEGMENTED.
UNCHANGED = 2  # the state is the one sent last
DIFFERENT = 4  # the body says what of the one sent last differs
UNSAVED = 8  # the state cannot be sent; the body says why

_KEPT = struct.Struct("<II")  # bytes kept at the beginning and at the end
_AROUND = 32  # bytes
_SHORT = 256  # bytes of a difference that need not be made any shorter
_WORTH = 0.75  # a difference is sent when it is smaller than this share of the state


class Saved(NamedTuple):
    """One state as it is sent: under which lease, how, and what."""

    lease: int
    flags: int
    body: bytes


def difference(before: bytes, after: bytes, like: bytes = b"") -> bytes | None:
    """What has to be sent to one who has `before`; `None` if that is not worth it.

    States change where they changed last: the place of the difference before, `like`, is looked at first.
    """
    if like and (message := _there_again(before, after, *_KEPT.unpack_from(like))):
        return message
    old, new = len(before), len(after)
    start = _common(min(old, new), lambda low, high: before[low:high] == after[low:high])
    room = min(old, new) - start
    end = _common(room, lambda low, high: before[old - high : old - low] == after[new - high : new - low])
    if _KEPT.size + new - start - end > _WORTH * new:
        return None
    return _KEPT.pack(start, end) + after[start : new - end]


def _there_again(before: bytes, after: bytes, start: int, end: int) -> bytes | None:
    stop = len(after) - end
    if not start <= stop <= start + _SHORT or start + end > len(before):
        return None
    if after[:start] != before[:start] or after[stop:] != before[len(before) - end :]:
        return None
    return _KEPT.pack(start, end) + after[start:stop]


def touched(after: bytes, message: bytes) -> bytes:
    """What differs in `after` as `difference` told it, and as much around it as a name that begins or ends outside."""
    start, end = _KEPT.unpack_from(message)
    return after[max(0, start - _AROUND) : len(after) - max(0, end - _AROUND)]


def restored(before: bytes | None, flags: int, body: bytes) -> tuple[bytes | None, str]:
    """The state that was sent to one who has `before`, or why there is none. Raises `ProtocolError` on nonsense."""
    if flags & UNSAVED:
        return None, body.decode(errors="replace")
    if flags & UNCHANGED:
        return before, ""
    if flags & DIFFERENT:
        body = _patched(before, body)
    return (Parts(body) if flags & SEGMENTED else body), ""


def _patched(before: bytes | None, body: bytes) -> bytes:
    if before is None or len(body) < _KEPT.size:
        raise ProtocolError("a session's state came as a difference from nothing")
    start, end = _KEPT.unpack_from(body)
    if start + end > len(before):
        raise ProtocolError(f"a session's state differs from {len(before)} bytes beyond their end")
    return before[:start] + body[_KEPT.size :] + (before[-end:] if end else b"")


def _common(most: int, is_same: Callable[[int, int], bool]) -> int:
    """How many bytes are the same, by bisection: a comparison of slices costs next to nothing."""
    low = 0
    while low < most:
        middle = (low + most + 1) // 2
        if is_same(low, middle):
            low = middle
        else:
            most = middle - 1
    return low
