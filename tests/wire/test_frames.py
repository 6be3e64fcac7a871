"""What the frame reader hands out, however the socket cuts the stream, and what it refuses."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.wire import frames
from millpond.wire.frames import HEADER, FrameReader, ProtocolError

MIB = 2**20


def frame(body: bytes, call_id: int = 7, kind: int = frames.CALL) -> bytes:
    """One frame with easily told numbers."""
    return frames.pack(len(body), kind, 0, 1, 2, 3, 4, call_id, 5, 6.5, 7.5) + body


def bodies(got: list) -> list[tuple[int, bytes]]:
    """Call id and body of each frame."""
    return [(fields[7], bytes(body)) for fields, body in got]


def feed_in_pieces(reader: FrameReader, stream: bytes, cuts: list[int]) -> list:
    """Feed `stream` cut at the given places."""
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    got = []
    for start, end in itertools.pairwise(places):
        got += reader.feed(stream[start:end])
    return got


def test_the_header_is_what_the_other_end_expects():
    """48 bytes, little-endian, unpadded, in the documented order."""
    head = frames.pack(0x01020304, 40, 1, 258, 259, 260, 0x0A0B0C0D, 2**40, 2**41, 1.0, -1.0)
    assert head.hex() == (
        "04030201" "28" "01" "0201" "0301" "0401" "0d0c0b0a" "0000000000010000" "0000000000020000"
        "000000000000f03f" "000000000000f0bf"
    )  # fmt: skip
    assert HEADER.unpack(head) == (0x01020304, 40, 1, 258, 259, 260, 0x0A0B0C0D, 2**40, 2**41, 1.0, -1.0)


def test_kinds_and_flags_keep_their_numbers():
    """Both ends, and tests that forge frames, count on them; each flag is a bit of its own."""
    kinds = "CALL=1 OPEN_SESSION=2 FORGET_SESSION=3 CREDIT=4 CANCEL=5 PING=6 BYE=7 READY=32 WARMING=33 START_FAILED=34 "
    kinds += "OK=40 RAISED=41 FAULT=42 INTERRUPTED=43 EXPIRED=44 SKIPPED=45 ITEM=46 PONG=47 LOG=48"
    for name, number in (pair.split("=") for pair in kinds.split()):
        assert getattr(frames, name) == int(number)
    assert (frames.SEGMENTED, frames.HAS_SNAPSHOT, frames.SESSION_FAILED) == (1, 2, 4)


@given(st.lists(st.sampled_from([0, 1, 47, 48, 49, 500, 16_384, 16_385, 40_000]), max_size=8), st.lists(st.integers(0)))
def test_frames_come_out_as_they_went_in_wherever_they_are_cut(sizes: list[int], cuts: list[int]):
    """The cuts a socket makes change nothing, neither inside a header nor inside a body."""
    sent = [(number, bytes([number + 1]) * size) for number, size in enumerate(sizes)]
    reader = FrameReader(MIB, 4)
    got = feed_in_pieces(reader, b"".join(frame(body, number) for number, body in sent), cuts)
    assert bodies(got) == sent
    assert reader.is_between_frames()


def test_a_stream_may_come_byte_by_byte():
    """Each frame is handed out with its last byte, not later."""
    reader = FrameReader(100, 4)
    stream = frame(b"ab", 1) + frame(b"", 2) + frame(b"c", 3)
    got = [(at, bodies(reader.feed(stream[at : at + 1]))) for at in range(len(stream))]
    assert [(at, found) for at, found in got if found] == [(49, [(1, b"ab")]), (97, [(2, b"")]), (146, [(3, b"c")])]


def test_fields_are_the_header_of_their_own_frame():
    """A body that came in pieces keeps the header it came with."""
    reader = FrameReader(MIB, 4)
    reader.feed(frame(b"x" * 20_000, 11, frames.OK)[:1000])
    got = reader.feed(frame(b"x" * 20_000, 11, frames.OK)[1000:] + frame(b"y", 12, frames.PONG))
    assert [fields for fields, _ in got] == [
        (20_000, frames.OK, 0, 1, 2, 3, 4, 11, 5, 6.5, 7.5),
        (1, frames.PONG, 0, 1, 2, 3, 4, 12, 5, 6.5, 7.5),
    ]


def test_a_large_body_comes_whole_and_stays():
    """A body of many pieces is equal byte for byte, and what comes later does not touch it."""
    reader = FrameReader(4 * MIB, 4)
    body = bytes(range(256)) * (3 * MIB // 256)
    stream = frame(body)
    got = []
    for at in range(0, len(stream), 256 * 1024):
        got += reader.feed(stream[at : at + 256 * 1024])
    reader.feed(frame(b"\xff" * MIB))
    assert bodies(got) == [(7, body)]


def test_the_limit_itself_is_allowed():
    """A body of exactly the limit passes, whole or in pieces."""
    for limit in (10, 100_000):
        assert bodies(FrameReader(limit, 4).feed(frame(b"x" * limit))) == [(7, b"x" * limit)]
        assert bodies(feed_in_pieces(FrameReader(limit, 4), frame(b"x" * limit), [30, 52])) == [(7, b"x" * limit)]


@pytest.mark.parametrize("limit", [10, 100_000])
@pytest.mark.parametrize("cuts", [[], [20], [48], [50]])
def test_a_body_over_the_limit_is_refused(limit: int, cuts: list[int]):
    """One byte over is refused, complete or not."""
    with pytest.raises(ProtocolError, match=f"^a frame of {limit + 1} bytes is over the limit of {limit}$"):
        feed_in_pieces(FrameReader(limit, 4), frame(b"x" * (limit + 1)), cuts)


def test_refusal_needs_the_header_only():
    """A claim of 4 GiB is refused before a byte of it came."""
    with pytest.raises(ProtocolError):
        FrameReader(MIB, 4).feed(frames.pack(2**32 - 1, frames.OK, 0, 0, 0, 0, 4, 0, 0, 0.0, 0.0))


def test_what_came_before_the_refused_frame_is_not_lost():
    """Finished answers in front of a broken frame can still be delivered."""
    with pytest.raises(ProtocolError) as caught:
        FrameReader(10, 4).feed(frame(b"good", 1) + frame(b"too long for it", 2))
    assert bodies(caught.value.frames) == [(1, b"good")]


def test_memory_follows_what_came_and_not_what_was_claimed():
    """A header that claims 200 MiB and sends nothing costs nothing."""
    reader = FrameReader(256 * MIB, 4)
    tracemalloc.start()
    try:
        reader.feed(frames.pack(200 * MIB, frames.OK, 0, 0, 0, 0, 4, 0, 0, 0.0, 0.0) + b"some")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB  # other threads of the program are counted, too
    assert not reader.is_between_frames()


def test_a_body_handed_out_is_not_kept():
    """The largest answer so far does not stay with the reader."""
    reader = FrameReader(4 * MIB, 4)
    stream = frame(bytes(2 * MIB))
    tracemalloc.start()
    try:
        reader.feed(stream[: 2 * MIB])
        assert len(reader.feed(stream[2 * MIB :])) == 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < MIB


def test_half_a_header_is_remembered():
    """A stream that ends inside a header is not between frames."""
    reader = FrameReader(10, 4)
    assert reader.is_between_frames()
    assert reader.feed(frame(b"")[:47]) == []
    assert not reader.is_between_frames()
    assert len(reader.feed(frame(b"")[47:])) == 1
    assert reader.is_between_frames()


def test_a_header_of_nobody_here_is_refused_before_its_body():
    """A stream out of step shows with its next header: it names no worker, or claims too much."""
    stranger = frames.pack(4000, frames.OK, 0, 1, 2, 0, 5, 7, 0, 0.0, 0.0)
    with pytest.raises(ProtocolError, match=r"^a frame came from incarnation 5$") as caught:
        FrameReader(MIB, 4).feed(frame(b"good", 1) + stranger)
    assert bodies(caught.value.frames) == [(1, b"good")]


@pytest.mark.parametrize("part", [1, 47, 48, 100])
def test_a_part_of_a_frame_stands_still_until_more_comes(part: int):
    """Looked at twice without news between: out of step, or broken off."""
    stream = frame(b"x" * 50_000)
    reader = FrameReader(MIB, 4)
    assert not reader.stands_still()
    reader.feed(stream[:part])
    assert [reader.stands_still() for _ in range(3)] == [False, True, True]
    reader.feed(stream[part : part + 20_000])
    assert [reader.stands_still() for _ in range(2)] == [False, True]
    reader.feed(stream[part + 20_000 :])
    assert [reader.stands_still() for _ in range(2)] == [False, False]


def test_the_next_frame_under_way_is_news():
    """A stream of frames that is always looked at in the middle of one does not stand still."""
    stream = frame(b"x" * 50_000)
    reader = FrameReader(MIB, 4)
    reader.feed(stream[:1000])
    for _ in range(5):
        assert not reader.stands_still()
        reader.feed(stream[1000:] + stream[:1000])


def test_a_trickle_is_no_progress():
    """Small frames that follow half a large one fill it up slowly, as no worker sends it."""
    reader = FrameReader(MIB, 4)
    reader.feed(frame(b"x" * 500_000)[:1000])
    reader.stands_still()
    for number in range(5):
        reader.feed(frame(b"a log record", number))
        assert reader.stands_still()


PIECES = st.lists(st.one_of(st.builds(frame, st.binary(max_size=300)), st.binary(max_size=100)), max_size=8)


@given(PIECES, st.lists(st.integers(0), max_size=6))
def test_noise_costs_no_more_than_it_sends(pieces: list[bytes], cuts: list[int]):
    """Whatever comes, the reader hands out frames or refuses, and holds no byte that was not sent."""
    stream = b"".join(pieces)
    reader = FrameReader(MIB, 4)
    try:
        got = feed_in_pieces(reader, stream, cuts)
    except ProtocolError as error:
        got = error.frames
    held = len(reader._head) + len(reader._body)
    assert sum(HEADER.size + len(body) for _, body in got) + held <= len(stream)
    assert all(fields[0] == len(body) for fields, body in got)


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 400))
def test_frames_twice_or_out_of_order_are_frames(numbers: list[int], cut: int):
    """Order and number are not the reader's to judge; of a stream that breaks off, the whole frames come."""
    stream = b"".join(frame(b"!" * number, number) for number in numbers)[: cut * 4]
    got = bodies(FrameReader(MIB, 4).feed(stream))
    assert got == [(number, b"!" * number) for number in numbers][: len(got)]
