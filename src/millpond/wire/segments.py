"""Segments: how the parts of one payload lie in a frame's body and in the slots of an arena.

A body is a count, a table with one row a segment (the stream's comes first), then the inline bytes in order. Used at
both ends, after `codec` has encoded a value and before it decodes one; the receiver gets private copies and the slots
are free again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import groupby

from millpond.wire.buffers import SlotReader, SlotWriter
from millpond.wire.codec import Encoded
from millpond.wire.frames import ProtocolError
from millpond.wire.pickling import Part

# The place of a segment: what it is, and whether it lies in a slot. The numbers stand in stored sessions.
STREAM, BUFFER, BYTES = 0, 1, 4
IN_SLOT = 2

_SMALL_BYTES = 4096

_COUNT = struct.Struct("<I")
_ROW = struct.Struct("<BxxxIQQ")  # place, slot index, offset, length
_PLACES = frozenset(kind | flag for kind in (STREAM, BUFFER, BYTES) for flag in (0, IN_SLOT))


class Parts(bytes):
    """A whole body in one piece, with nothing in slots: for what is kept and sent on."""

    __slots__ = ()


def pack(encoded: Encoded, writer: SlotWriter | None, threshold: int) -> list[bytes | memoryview]:
    """The body of a segmented frame, in parts to be written one after the other.

    Parts above `threshold` bytes go into slots while there is room; the others are views of what `encoded` holds.
    """
    rows: list[bytes] = []
    inline: list[bytes | memoryview] = []
    for place, part in _places(encoded):
        length = len(part)
        slot = writer.put(part) if writer is not None and length > threshold else None
        if slot is not None:
            rows.append(_ROW.pack(place | IN_SLOT, *slot))
        else:
            rows.append(_ROW.pack(place, 0, 0, length))
            inline.append(memoryview(part) if isinstance(part, bytearray) else part)
    return _merged([_COUNT.pack(len(rows)), *rows, *inline])


def joined(encoded: Encoded) -> Parts:
    """The body in one piece; shares nothing with what `encoded` holds."""
    return Parts(b"".join(pack(encoded, None, 0)))


def unpack(body: bytes | memoryview, reader: SlotReader | None) -> tuple[Part, list[Part]]:
    """The stream and the buffers of a body, for a codec to decode; frees the slots.

    Raises `ProtocolError` on what no correct peer sends. Buffers are private; the stream may be a view of `body`.
    """
    rows, at = _rows(body, reader)
    whole = memoryview(body)
    parts: list[Part] = []
    try:
        for place, index, offset, length in rows:
            kind = bytes if place & ~IN_SLOT == BYTES else bytearray
            if place & IN_SLOT:
                assert reader is not None
                parts.append(reader.take(index, offset, length, kind))
            else:
                view = whole[at : at + length]
                parts.append(view if place == STREAM else kind(view))
                at += length
    except MemoryError:  # the slots would stay in use for as long as the worker lives
        _drop(rows[len(parts) :], reader)
        raise
    stream, *buffers = parts
    return stream, buffers


def release(body: bytes | memoryview, reader: SlotReader | None) -> None:
    """Free the slots of a body that nobody will read; raises `ProtocolError` like `unpack`."""
    _drop(_rows(body, reader)[0], reader)


def _drop(rows: Iterable[tuple[int, int, int, int]], reader: SlotReader | None) -> None:
    for place, index, _, _ in rows:
        if place & IN_SLOT:
            assert reader is not None
            reader.drop(index)


def _places(encoded: Encoded) -> list[tuple[int, Part]]:
    buffers = [(BYTES if type(buffer) is bytes else BUFFER, buffer) for buffer in encoded.buffers]
    return [(STREAM, encoded.stream), *buffers]


def _merged(parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """Small neighbours joined, so that the table and a short stream make one write."""
    merged: list[bytes | memoryview] = []
    for is_small, run in groupby(parts, lambda part: len(part) <= _SMALL_BYTES):
        if is_small:
            merged.append(b"".join(run))
        else:
            merged += run
    return merged


def _rows(body: bytes | memoryview, reader: SlotReader | None) -> tuple[list[tuple[int, int, int, int]], int]:
    """The checked table of a body, and where its inline bytes start."""
    size = len(body)
    count = _COUNT.unpack_from(body)[0] if size >= _COUNT.size else -1
    start = _COUNT.size + count * _ROW.size
    if count < 0 or start > size:
        raise ProtocolError(f"a segment table of {count} rows does not fit in {size} bytes")
    rows: list[tuple[int, int, int, int]] = list(_ROW.iter_unpack(memoryview(body)[_COUNT.size : start]))
    if any(row[0] not in _PLACES for row in rows):
        raise ProtocolError("a segment lies in no known place")
    if [number for number, row in enumerate(rows) if row[0] & ~IN_SLOT == STREAM] != [0]:
        raise ProtocolError("a body in segments begins with its stream, and has one")
    if sum(row[3] for row in rows if not row[0] & IN_SLOT) != size - start:
        raise ProtocolError("the inline segments do not fill the body")
    slots = [row for row in rows if row[0] & IN_SLOT]
    if slots:
        _check_slots(slots, reader)
    return rows, start


def _check_slots(slots: list[tuple[int, int, int, int]], reader: SlotReader | None) -> None:
    """The slots of one body hold no more than the arena: bounds what copying them can cost."""
    if reader is None:
        raise ProtocolError("a segment lies in a slot, but there is no arena")
    if sum(row[3] for row in slots) > reader.nbytes:
        raise ProtocolError(f"the slots of one body come to more than {reader.nbytes} bytes")
