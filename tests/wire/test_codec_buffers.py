"""Large values under pickle: buffers leave the stream un-copied and arrive in their places, private and writable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.wire.buffers import Arena, SlotReader, SlotWriter
from millpond.wire.codec import Encoded, MsgpackCodec, PickleCodec
from millpond.wire.segments import pack, unpack

THRESHOLD = 64 * 1024


def carry(codec: Any, value: Any) -> Any:
    """The value after encoding, a trip in one body, and decoding."""
    encoded = codec.encode(value)
    if type(encoded) is bytes:
        return codec.decode(encoded)
    return codec.decode(*unpack(b"".join(pack(encoded, None, THRESHOLD)), None))


class Dict:
    """Arrives as the dictionary of the given texts, which nothing else refers to."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes

    def __reduce__(self) -> Any:
        return (dict, ([(name, name * size) for name, size in self.sizes.items()],))


SIZES = [0, 1, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, 2**20]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("threshold", [1024, THRESHOLD, 2**19])
def test_pickle_carries_bytes_of_every_size(kind: type, size: int, threshold: int):
    """Around the threshold, and around the 64 KiB from which a pickler leaves a payload alone."""
    value = (kind(b"\x95B" * (size // 2) + b"!" * (size % 2)), "between", kind(b"x" * size))
    out = carry(PickleCodec(threshold), value)
    assert out == value
    assert [type(part) for part in out] == [kind, str, kind]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("letter", ["a", "é", "漢", "\ud800"])
def test_pickle_carries_text_of_every_size(letter: str, size: int):
    """Text stays in the stream, whatever memory the pickler writes it from."""
    assert carry(PickleCodec(THRESHOLD), [letter * size, b"b" * size]) == [letter * size, b"b" * size]


def test_long_text_that_nobody_else_holds_is_not_lost():
    """A pickler writes long text as a view of memory that only its memo keeps alive."""
    value = [Dict(t=200_000, u=300_000), Dict(t=200_000, u=300_000)]
    assert carry(PickleCodec(THRESHOLD), value) == [{"t": "t" * 200_000, "u": "u" * 300_000}] * 2


ARRAYS = {
    "c": np.arange(50_000.0),
    "f": np.asfortranarray(np.arange(60_000.0).reshape(200, 300)),
    "transposed": np.arange(60_000.0).reshape(200, 300).T,
    "strided": np.arange(200_000.0)[::3],
    "structured": np.zeros(20_000, dtype=[("a", "i4"), ("b", "f8")]),
    "readonly": np.frombuffer(b"r" * 100_000, dtype="u1"),
    "objects": np.array([None, "x", 3] * 100, dtype=object),
    "small": np.arange(10),
    "zero-d": np.array(3.5),
    "empty": np.zeros((0, 5)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_arrive_equal(name: str):
    """Whatever the layout."""
    out = carry(PickleCodec(THRESHOLD), {"array": ARRAYS[name]})["array"]
    assert out.dtype == ARRAYS[name].dtype
    assert out.shape == ARRAYS[name].shape
    assert np.array_equal(out, ARRAYS[name])


@pytest.mark.parametrize("name", ["c", "f", "transposed", "strided", "structured", "small"])
def test_arrays_arrive_writable_and_private(name: str):
    """The receiver may change its copy; the sender's stays."""
    before = ARRAYS[name].copy()
    out = carry(PickleCodec(THRESHOLD), ARRAYS[name])
    out.fill(0)
    assert np.array_equal(ARRAYS[name], before)


def test_large_buffers_leave_the_stream_uncopied():
    """Bytes, bytearray and array are handed on as they are, in order, and the stream stays short."""
    array, data, mutable = np.arange(50_000.0), b"d" * 100_000, bytearray(200_000)
    encoded = PickleCodec(THRESHOLD).encode([data, {"array": array}, "text", mutable, data])
    assert isinstance(encoded, Encoded)
    assert len(encoded.stream) < 1000
    assert encoded.buffers[0] is data
    assert np.shares_memory(np.frombuffer(encoded.buffers[1]), array)
    assert encoded.buffers[2] is mutable
    assert len(encoded.buffers) == 3
    assert encoded.nbytes == len(encoded) == len(encoded.stream) + 400_000 + 100_000 + 200_000


def test_buffers_up_to_the_threshold_stay_in_the_stream():
    """A slot for a small array would cost more than it saves."""
    codec = PickleCodec(THRESHOLD)
    assert type(codec.encode(np.zeros(THRESHOLD - 1000, "u1"))) is bytes
    at = codec.encode(np.zeros(THRESHOLD, "u1"))
    above = codec.encode(np.zeros(THRESHOLD + 1, "u1"))
    assert (len(at.buffers), len(above.buffers)) == (0, 1)


def test_a_long_stream_is_encoded_in_parts_under_either_codec():
    """What is above the threshold can take a slot even if it is all stream."""
    value = list(range(100_000))
    for codec in (PickleCodec(THRESHOLD), MsgpackCodec(THRESHOLD)):
        encoded = codec.encode(value)
        assert isinstance(encoded, Encoded)
        assert encoded.buffers == []
        assert carry(codec, value) == value


@pytest.mark.parametrize("codec", [PickleCodec(2000), MsgpackCodec(2000)])
def test_the_threshold_itself_still_travels_in_the_frame(codec: Any):
    """A stream of exactly so many bytes is plain bytes, one byte more comes in parts."""
    size = 1900 + 2000 - len(codec.encode("a" * 1900))
    assert (type(codec.encode("a" * size)), len(codec.encode("a" * size))) == (bytes, 2000)
    assert type(codec.encode("a" * (size + 1))) is Encoded


def test_bytes_up_to_the_threshold_stay_in_the_stream():
    """The same bound as for arrays."""
    at, above = (PickleCodec(THRESHOLD).encode(b"x" * size) for size in (THRESHOLD, THRESHOLD + 1))
    assert (len(at.buffers), len(above.buffers)) == (0, 1)


def test_buffers_between_long_streams_keep_their_places():
    """A stream so long that it is written in pieces, with buffers before, between and after the pieces."""
    texts = [f"{number:040}" for number in range(5000)]
    array, data = np.arange(20_000), b"d" * 100_000
    value = [texts[:2000], array, data, texts[2000:4000], data, array, texts[4000:], np.arange(30_000), bytearray(data)]
    for start in range(len(value)):
        out = carry(PickleCodec(THRESHOLD), value[start:])
        assert all(np.array_equal(one, two) for one, two in zip(out, value[start:], strict=True))
        assert [type(item) for item in out] == [type(item) for item in value[start:]]


def test_one_large_object_in_two_places_stays_one():
    """Identity within a value survives, also where the object became a buffer."""
    data, mutable = b"d" * 100_000, bytearray(100_000)
    out = carry(PickleCodec(THRESHOLD), [data, mutable, data, mutable])
    assert out[0] is out[2]
    assert out[1] is out[3]


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.integers(65_530, 65_542).map(lambda size: b"\x95" * size),
            st.integers(65_530, 70_000).map(lambda size: bytearray(b"B" * size)),
            st.integers(65_530, 70_000).map(lambda size: "X" * size),
            st.integers(1, 3000).map(lambda count: [f"{number:040}" for number in range(count)]),
            st.integers(1, 70_000).map(lambda size: b"C\x94.B" + size.to_bytes(4, "little")),
            st.integers(1000, 20_000).map(lambda size: np.arange(size)),
            st.sampled_from(
                [(), None, 0.5, True, "", b"", [], b"B\x00\x00\x01\x00", b"\x8e\x01\x00\x00\x00\x00\x00\x00\x00"]
            ),
        ),
        max_size=6,
    )
)
def test_no_content_can_be_mistaken_for_the_frame_of_a_pickle(value: list[Any]):
    """Streams of many frames, with contents that look like opcodes beside payloads, come back equal."""
    out = carry(PickleCodec(THRESHOLD), value)
    assert [type(item) for item in out] == [type(item) for item in value]
    assert all(np.array_equal(one, two) for one, two in zip(out, value, strict=True))


def test_an_encoded_value_can_be_made_the_pools_own():
    """After `own`, what the caller does to its objects is not seen; bytes need no copy."""
    array, data, mutable = np.zeros(50_000), b"d" * 100_000, bytearray(100_000)
    codec = PickleCodec(THRESHOLD)
    encoded = codec.encode([array, data, mutable])
    nbytes = encoded.nbytes
    assert encoded.own() is encoded
    array.fill(1)
    mutable[:] = b"\xff" * 100_000
    out = codec.decode(*unpack(b"".join(pack(encoded, None, THRESHOLD)), None))
    assert (out[0].sum(), out[1], out[2]) == (0, data, bytearray(100_000))
    assert encoded.buffers[1] is data
    assert encoded.nbytes == nbytes


def test_a_stream_that_is_a_view_can_be_owned_too():
    """Whatever parts an encoded value was made of, and it says what it holds."""
    source = bytearray(b"stream")
    encoded = Encoded(memoryview(source), [memoryview(b"buffer!")])
    encoded.own()
    source[:] = b"\0" * 6
    assert encoded.stream == b"stream"
    assert repr(encoded) == "<Encoded 13 bytes with 1 buffers>"


def test_an_array_takes_two_copies_and_leaves_no_slot():
    """Into the arena, out of it, and nothing else: the array is made over the very copy that was taken out."""
    arena = Arena.create(2**21)
    writer, reader = SlotWriter(arena), SlotReader(arena)
    codec, array = PickleCodec(THRESHOLD), np.arange(2**17, dtype="f8")
    body = b"".join(pack(codec.encode(array), writer, THRESHOLD))
    assert len(body) < 1000
    stream, buffers = unpack(body, reader)
    out = codec.decode(stream, buffers)
    assert np.shares_memory(out, np.frombuffer(buffers[0]))
    assert np.array_equal(out, array)
    assert sum(arena.states) == 0
    arena.close()
