"""Picklers that write stream, large payloads and out-of-band buffers in parts, so that nothing large is copied.

Used by `codec`, which says what the parts are for.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

Part = bytes | bytearray | memoryview

PROTOCOL = 5

_FRAME, _NEXT_BUFFER = b"\x95", b"\x97"
_FRAME_HEAD_BYTES = 9
# No opcodes but the head of a large object stand outside of a frame, save for frames of less than 4 bytes.
_SHORTEST_HEAD_BYTES = 5

PartsPickler = tuple[Callable[[Any], Any], Callable[[], None], list[Any]]  # dump, clear_memo, and what dump wrote


class _Sink:
    """A file to a pickler. C picklers hand large objects to `write` as they are: a list keeps them un-copied."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.write = write


def parts_pickler(pickler: Any, threshold: int, table: dict[type, Callable[[Any], Any]] | None = None) -> PartsPickler:
    """A pickler that writes chunks of stream, large payloads and out-of-band buffers into one list, in order.

    With a `table` that is its dispatch table.
    """
    parts: list[Any] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes <= threshold:
            return True
        parts.append(raw)
        return False

    made = pickler(_Sink(parts.append), protocol=PROTOCOL, buffer_callback=keep_in_band)
    if table is not None:
        made.dispatch_table = table
    return made.dump, made.clear_memo, parts


def gather(parts: list[Any], threshold: int) -> tuple[bytes, list[Part]]:
    """One stream and its buffers: large `bytes` and `bytearray` become buffers too, which saves a copy at each end.

    Empties `parts`. Must run before the memo is cleared: a long `str` is written as a view of memory that only the
    memo keeps alive.
    """
    stream: list[Any] = []
    buffers: list[Part] = []
    payload_follows = False
    for part in parts:
        if payload_follows:
            payload_follows = False
            head = _payload_head(part)
            if head and len(part) > threshold and stream[-1].endswith(head):
                stream[-1] = stream[-1][: -len(head)] + _NEXT_BUFFER
                buffers.append(part)
            else:
                stream.append(part)
        elif type(part) is memoryview:
            buffers.append(part)
        else:
            payload_follows = _ends_with_head(part, 0 if stream else 2)
            stream.append(part)
    parts.clear()
    return b"".join(stream), buffers


def _ends_with_head(chunk: bytes, at: int) -> bool:
    """Whether a chunk of stream ends with the head of an object whose payload is the next part.

    A chunk is whole frames (from `at`; the first chunk starts with two bytes of protocol), then what is outside.
    """
    while chunk[at : at + 1] == _FRAME:
        at += _FRAME_HEAD_BYTES + int.from_bytes(chunk[at + 1 : at + _FRAME_HEAD_BYTES], "little")
    return len(chunk) - at >= _SHORTEST_HEAD_BYTES


def _payload_head(part: Any) -> bytes:
    """What stands in the stream before this payload, if it can become a buffer."""
    size = len(part) if type(part) in (bytes, bytearray) else 0
    if type(part) is bytearray:
        return struct.pack("<cQ", b"\x96", size)
    if type(part) is bytes:
        return struct.pack("<cI", b"B", size) if size < 2**32 else struct.pack("<cQ", b"\x8e", size)
    return b""
