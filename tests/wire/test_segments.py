"""Bodies in segments: every part arrives, slots come back, and no forged table does harm."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from millpond.wire.buffers import Arena, SlotReader, SlotWriter
from millpond.wire.codec import Encoded
from millpond.wire.frames import ProtocolError
from millpond.wire.segments import pack, release, unpack

ROOM = 10_000
THRESHOLD = 1000
ROW = struct.Struct("<BxxxIQQ")
STREAM = (0, 0, 0, 0)  # the row of an empty stream


class Ends:
    """One arena, its writer here and its reader there."""

    def __init__(self) -> None:
        self.here = Arena.create(ROOM)
        self.there = Arena(os.dup(self.here.fd), ROOM)
        self.writer = SlotWriter(self.here)
        self.reader = SlotReader(self.there)


@pytest.fixture
def ends():
    """Writer and reader of one arena of 10,000 bytes."""
    made = Ends()
    yield made
    made.here.close()
    made.there.close()


def body_of(encoded: Encoded, writer: SlotWriter | None) -> bytes:
    """The body as the socket carries it."""
    return b"".join(pack(encoded, writer, THRESHOLD))


def forged(*rows: tuple[int, int, int, int], inline: bytes = b"") -> bytes:
    """A body with the given table."""
    return struct.pack("<I", len(rows)) + b"".join(ROW.pack(*row) for row in rows) + inline


def contents(parts: list) -> list[bytes]:
    """The parts as bytes."""
    return [bytes(part) for part in parts]


@pytest.mark.parametrize("with_arena", [True, False])
@pytest.mark.parametrize("size", [0, 1, THRESHOLD, THRESHOLD + 1, 5000, ROOM + 1])
def test_parts_arrive_in_order_with_their_kinds(ends: Ends, size: int, with_arena: bool):
    """The stream comes first, `bytes` stay `bytes`, all other buffers arrive as `bytearray`: by slot or inline."""
    source = bytearray(b"m" * size)
    encoded = Encoded(b"s" * size, [b"b" * size, source, memoryview(b"v" * size), b""])
    body = body_of(encoded, ends.writer if with_arena else None)
    stream, buffers = unpack(body, ends.reader)
    assert bytes(stream) == b"s" * size
    assert contents(buffers) == [b"b" * size, b"m" * size, b"v" * size, b""]
    assert [type(buffer) for buffer in buffers] == [bytes, bytearray, bytearray, bytes]
    assert sum(ends.here.states) == 0


class Short(SlotReader):
    """Has no memory for its second copy."""

    copies = 0

    def take(self, index: int, offset: int, length: int, kind: type = bytearray) -> Any:
        self.copies += 1
        if self.copies == 2:
            raise MemoryError
        return super().take(index, offset, length, kind)


def test_slots_come_back_from_a_reader_without_memory(ends: Ends):
    """What could not be read is dropped with what lies behind it."""
    body = body_of(Encoded(b"s", [bytearray(2000) for _ in range(4)]), ends.writer)
    assert sum(ends.here.states) == 4
    with pytest.raises(MemoryError):
        unpack(body, Short(ends.there))
    assert sum(ends.here.states) == 0


def test_only_what_is_above_the_threshold_takes_a_slot(ends: Ends):
    """Small parts are cheaper in the frame."""
    body = body_of(Encoded(b"s" * THRESHOLD, [b"b" * (THRESHOLD + 1)]), ends.writer)
    assert sum(ends.here.states) == 1
    assert len(body) == 4 + 2 * ROW.size + THRESHOLD
    unpack(body, ends.reader)


def test_the_table_is_laid_out_as_both_ends_expect(ends: Ends):
    """Count, rows of 24 bytes, inline bytes in order."""
    body = body_of(Encoded(b"stream", [b"x" * 2000, memoryview(b"y" * 3000), b"small"]), ends.writer)
    rows = [(0, 0, 0, 6), (6, 0, 0, 2000), (3, 1, 2048, 3000), (4, 0, 0, 5)]
    assert body == forged(*rows, inline=b"streamsmall")


def test_a_buffer_may_fill_the_whole_arena(ends: Ends):
    """The bound on what one body may name is the arena itself."""
    body = body_of(Encoded(b"s", [b"x" * ROOM]), ends.writer)
    assert len(body) < 100
    assert contents(unpack(body, ends.reader)[1]) == [b"x" * ROOM]


def test_what_finds_no_slot_travels_inline(ends: Ends):
    """A full arena costs speed, not the call."""
    big = Encoded(b"stream", [b"x" * 9000])
    first, second = body_of(big, ends.writer), body_of(big, ends.writer)
    assert len(first) < 100
    assert len(second) > 9000
    assert ends.writer.overflows == 1
    assert contents(unpack(second, ends.reader)[1]) == [b"x" * 9000]
    assert contents(unpack(first, ends.reader)[1]) == [b"x" * 9000]


def test_large_inline_parts_are_not_copied():
    """The socket is handed views; only small neighbours are joined into one write."""
    large = b"x" * 100_000
    mutable = bytearray(large)
    parts = pack(Encoded(b"stream", [b"small", large, mutable, b"end"]), None, THRESHOLD)
    assert [len(part) for part in parts] == [4 + 5 * ROW.size + 6 + 5, 100_000, 100_000, 3]
    assert parts[1] is large
    assert parts[2].obj is mutable


def test_what_arrives_is_private(ends: Ends):
    """Later writes into the arena or into the body are not seen."""
    source = bytearray(body_of(Encoded(b"s", [memoryview(b"in slot" * 300), memoryview(b"inline")]), ends.writer))
    _, buffers = unpack(memoryview(source), ends.reader)
    ends.here.data[:100] = b"\0" * 100
    source[-6:] = b"\0" * 6
    assert contents(buffers) == [b"in slot" * 300, b"inline"]


def test_an_inline_stream_is_not_copied():
    """A codec reads a stream where it lies; only what becomes part of the value needs to be private."""
    body = body_of(Encoded(b"stream", []), None)
    stream, _ = unpack(body, None)
    assert stream.obj is body


def test_release_frees_the_slots_unread(ends: Ends):
    """An answer nobody waits for gives its memory back."""
    body = body_of(Encoded(b"s" * 2000, [b"b" * 2000, bytearray(2000), b"small"]), ends.writer)
    assert sum(ends.here.states) == 3
    release(body, ends.reader)
    assert sum(ends.here.states) == 0
    with pytest.raises(ProtocolError):
        release(body, ends.reader)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\1\0\0",
        b"\xff\xff\xff\xff",
        b"\xff" * 64,
        forged((0, 0, 0, 5), inline=b"1234"),
        forged((0, 0, 0, 5), inline=b"123456"),
        forged((0, 0, 0, 2**64 - 1), inline=b""),
        forged(STREAM, (5, 0, 0, 0)),
        forged(STREAM, (255, 0, 0, 0)),
        forged(STREAM, (3, 9, 0, 10)),
        forged(STREAM, (3, 256, 0, 10)),
        forged(STREAM, (3, 0, ROOM, 1)),
        forged(STREAM, (3, 0, 2**64 - 1, 2)),
        forged(STREAM, (3, 0, 0, ROOM + 1)),
        forged(STREAM, (3, 0, 0, 10), (3, 0, 0, 10)),
        forged((2, 0, 0, ROOM), (3, 1, 0, 1)),
        forged(STREAM, *((3, index, 0, 0) for index in range(300))),
        forged(),
        forged(STREAM, STREAM),
        forged((1, 0, 0, 0), STREAM),
    ],
)
@pytest.mark.parametrize("read", [unpack, release])
def test_a_table_that_makes_no_sense_is_a_breach_of_the_protocol(ends: Ends, body: bytes, read):
    """Wrong counts, places, sizes, slots and streams are refused; a slot named twice would be copied twice."""
    for _ in range(2):
        ends.writer.put(b"0123456789")
    if read is release and body in (forged(STREAM, (3, 0, ROOM, 1)), forged(STREAM, (3, 0, 2**64 - 1, 2))):
        return  # nothing is read there
    with pytest.raises(ProtocolError):
        read(body, ends.reader)


@pytest.mark.parametrize("read", [unpack, release])
def test_a_slot_without_an_arena_is_a_breach_of_the_protocol(read):
    """A worker that was given no arena cannot name a slot."""
    with pytest.raises(ProtocolError):
        read(forged(STREAM, (3, 0, 0, 1)), None)


def test_one_body_cannot_ask_for_more_memory_than_the_arena_holds(ends: Ends):
    """Overlapping slots, each within bounds, would multiply what the parent has to copy."""
    for index in range(4):
        ends.here.states[index] = 1
    with pytest.raises(ProtocolError, match="more than"):
        unpack(forged(STREAM, *((3, index, 0, ROOM // 3) for index in range(4))), ends.reader)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 8))
@example(b"", 0)
def test_no_bytes_do_anything_but_raise_a_protocol_error(noise: bytes, count: int):
    """Whatever a worker sends, reading it ends in parts or in the one error the engine expects."""
    body = struct.pack("<I", count) + noise
    try:
        stream, buffers = unpack(body, None)
    except ProtocolError:
        return
    assert len(stream) + sum(map(len, buffers)) == len(body) - 4 - count * ROW.size
