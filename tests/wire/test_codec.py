"""Codecs: every value comes back as it was, classes by name or by value, failures as one kind of error."""

from __future__ import annotations

import gc
import math
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import Interrupted
from millpond.wire.codec import CodecError, Encoded, MsgpackCodec, PickleCodec, make_codec
from millpond.wire.segments import pack, unpack

THRESHOLD = 64 * 1024


def carry(codec: Any, value: Any) -> Any:
    """The value after encoding, a trip in one body, and decoding."""
    encoded = codec.encode(value)
    if type(encoded) is bytes:
        return codec.decode(encoded)
    return codec.decode(*unpack(b"".join(pack(encoded, None, THRESHOLD)), None))


class Node:
    """Something that can be importable, weakly referenced, and asked to run code while pickled."""

    def __init__(self, reduce: Callable[[], Any] | None = None) -> None:
        self.reduce = reduce

    def __reduce__(self) -> Any:
        return self.reduce() if self.reduce else (Node, ())


def raiser(error: BaseException) -> Callable[..., Any]:
    """A function that raises."""

    def fail(*args: object) -> Any:
        raise error

    return fail


def raise_by_name(name: str) -> None:
    """Raise a built-in exception: what a harmful pickle may call while it is decoded."""
    raise getattr(sys.modules["builtins"], name)("from the stream")


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.integers().map(lambda number: {number})
    ),
    max_leaves=20,
)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain_values)
def test_pickle_carries_plain_values(value: Any):
    """Small values are plain bytes and come back equal, types included."""
    encoded = PickleCodec(THRESHOLD).encode(value)
    assert type(encoded) is bytes
    assert repr(PickleCodec(THRESHOLD).decode(encoded)) == repr(value)
    assert repr(PickleCodec(THRESHOLD).decode(memoryview(encoded))) == repr(value)


@given(json_like)
def test_msgpack_carries_data(value: Any):
    """Lists, mappings, numbers, text and bytes come back equal."""
    encoded = MsgpackCodec(THRESHOLD).encode(value)
    assert type(encoded) is bytes
    assert MsgpackCodec(THRESHOLD).decode(memoryview(encoded)) == value


class Text(str):
    """Text by another name: only what is exactly `str` may travel as msgpack."""


@given(st.lists(plain_values).map(tuple), st.dictionaries(st.text(), plain_values, max_size=2))
def test_pickle_carries_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]):
    """Arguments come back equal, types included, by whichever way they went, and the dictionary is the callee's."""
    codec = PickleCodec(THRESHOLD)
    encoded = codec.encode_arguments(args, kwargs)
    assert type(encoded) is bytes
    for stream in (encoded, memoryview(encoded)):
        positional, keywords = codec.decode_arguments(stream)
        assert repr(tuple(positional)) == repr(args)
        assert repr(keywords) == repr(kwargs)
        assert keywords is not codec.decode_arguments(stream)[1]


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", Text("a"), "a" * 5000, b"a" * 5000, 1j, True, -0.0])
def test_what_msgpack_would_change_or_refuse_is_pickled(value: Any):
    """The quick way is taken only by values that arrive as they left."""
    codec = PickleCodec(THRESHOLD)
    answer, ((argument,), _) = (
        codec.decode(codec.encode(value)),
        codec.decode_arguments(codec.encode_arguments((value,), {})),
    )
    assert [repr(answer), repr(argument)] == [repr(value)] * 2
    assert [type(answer), type(argument)] == [type(value)] * 2


def test_many_short_arguments_may_be_large_together():
    """The threshold above which a payload leaves the socket holds for their sum."""
    codec = PickleCodec(THRESHOLD)
    args = tuple(f"{number:1000}" for number in range(THRESHOLD // 1000 + 1))
    encoded = codec.encode_arguments(args, {})
    assert isinstance(encoded, Encoded)
    assert codec.decode(encoded.stream, encoded.buffers) == (args, {})


@pytest.mark.parametrize("stream", [b"", b"\x07", b"\xc1", b"\x80", b"\x80\x05K\x07."])
def test_what_are_no_arguments_is_refused(stream: bytes):
    """Bytes of either kind that hold no arguments raise one error."""
    with pytest.raises(CodecError):
        PickleCodec(THRESHOLD).decode_arguments(stream)


def test_a_warm_codec_makes_no_second_pickler():
    """Small values, and values whose buffers are beside a small stream, use the pickler that is there."""
    codec = PickleCodec(THRESHOLD)
    for value in (("tiny",), np.zeros(50_000), [b"x" * 100_000], list(range(1000)), ("tiny",)):
        codec.encode(value)
        assert len(codec._idle) == (type(value) is not list or len(value) == 1)


def test_the_codec_lets_go_of_what_it_encoded():
    """Nothing of a call's arguments lives longer than the call."""
    codec = PickleCodec(THRESHOLD)
    node = Node()
    gone = weakref.ref(node)
    codec.encode([node, "tiny"])
    codec.encode([node, b"x" * 100_000])
    del node
    gc.collect()
    assert gone() is None


def test_each_value_is_encoded_on_its_own():
    """An object encoded twice is whole in both streams."""
    codec, shared = PickleCodec(THRESHOLD), ["shared", "list"]
    assert [codec.decode(codec.encode([shared, number])) for number in range(3)] == [[shared, n] for n in range(3)]


def test_encoding_may_encode():
    """A `__reduce__` that uses the same codec gets in nobody's way."""
    codec = PickleCodec(THRESHOLD)
    codec.encode("warm")
    node = Node(lambda: (list, (codec.encode(["inner", b"x" * 100_000]).stream,)))
    assert len(codec.decode(codec.encode([node, "outer"]))) == 2
    assert codec.decode(codec.encode("after")) == "after"


def test_a_failure_leaves_nothing_in_the_next_value():
    """The value after one that could not be encoded is whole and alone."""
    codec = PickleCodec(THRESHOLD)
    for size in (1, 100_000):
        with pytest.raises(CodecError):
            codec.encode([b"x" * size, threading.Lock()])
        assert codec.decode(codec.encode(("next", size))) == ("next", size)


def test_threads_may_share_a_codec():
    """Values encoded at the same time do not mix."""
    codec, wrong = PickleCodec(THRESHOLD), []

    def work(number: int) -> None:
        for step in range(300):
            value = [number, step, Node(lambda: (str, (f"{number}",))), b"x" * (100_000 if step % 50 == 0 else 10)]
            if carry(codec, value)[:3] != [number, step, str(number)]:
                wrong.append((number, step))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_what_cannot_be_imported_travels_by_value():
    """Lambdas and local classes, alone or deep inside a value that also has large buffers."""

    class Local:
        def __init__(self, number: int) -> None:
            self.number = number

    codec, factor = PickleCodec(THRESHOLD), 3
    assert carry(codec, lambda x: x * factor)(2) == 6
    out = carry(codec, {"deep": [Local(7)], "data": b"d" * 100_000})
    assert (out["deep"][0].number, len(out["data"])) == (7, 100_000)
    assert type(out["deep"][0]) is Local


def test_what_main_defines_travels_by_value(monkeypatch: pytest.MonkeyPatch):
    """`__main__` is another module at the other end: there its classes must not be looked up by name."""
    main = sys.modules["__main__"]
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("class Defined:\n    def answer(self): return 42\ndef function(): return 43", scope)
    for name in ("Defined", "function"):
        monkeypatch.setattr(main, name, scope[name], raising=False)
    codec = PickleCodec(THRESHOLD)
    encoded = [codec.encode(scope["Defined"]()), codec.encode([scope["function"], b"x" * 100_000])]
    for name in ("Defined", "function"):
        monkeypatch.delattr(main, name)
    assert codec.decode(encoded[0]).answer() == 42
    assert codec.decode(encoded[1].stream, encoded[1].buffers)[0]() == 43


@pytest.mark.parametrize("padding", [0, 100_000])
def test_text_that_says_main_is_only_text(padding: int):
    """A value that mentions `__main__` arrives as it is."""
    assert carry(PickleCodec(THRESHOLD), ["__main__", "p" * padding]) == ["__main__", "p" * padding]


@pytest.mark.parametrize("codec", [PickleCodec(THRESHOLD), MsgpackCodec(THRESHOLD)])
def test_what_cannot_be_encoded_is_one_kind_of_error(codec: Any):
    """The error names the reason and has it as its cause."""
    with pytest.raises(CodecError, match="lock") as caught:
        codec.encode([threading.Lock()])
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("codec", [PickleCodec(THRESHOLD), MsgpackCodec(THRESHOLD)])
def test_what_is_nested_too_deep_is_refused(codec: Any):
    """Depth is bounded by an error, not by the C stack."""
    value: Any = None
    for _ in range(200_000):
        value = [value]
    with pytest.raises(CodecError):
        codec.encode(value)


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), ValueError("no"), TypeError("no"), MemoryError()])
def test_whatever_a_value_does_while_encoded_stays_an_error(error: BaseException):
    """A `__reduce__` that exits ends its own call and no program."""
    with pytest.raises(CodecError, match=type(error).__name__) as caught:
        PickleCodec(THRESHOLD).encode([Node(raiser(error))])
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted()])
def test_true_interrupts_pass(error: BaseException):
    """Somebody who wants to stop the program, or the call that makes another, is not answered with a codec's error."""
    with pytest.raises(type(error)):
        PickleCodec(THRESHOLD).encode_arguments((Node(raiser(error)),), {})


@pytest.mark.parametrize("error", [KeyboardInterrupt("x"), Interrupted("x")])
def test_what_a_result_raises_is_no_interrupt(error: BaseException):
    """Nobody interrupts a worker between its operations: a result's `__reduce__` costs its own call there."""
    with pytest.raises(CodecError, match=type(error).__name__):
        PickleCodec(THRESHOLD).encode([Node(raiser(error))])


@pytest.mark.parametrize("name", ["SystemExit", "GeneratorExit", "ValueError"])
def test_whatever_a_value_does_while_decoded_stays_an_error(name: str):
    """The parent decodes on its loop's thread: an exit there would end everything."""
    stream = pickle.dumps(Node(lambda: (raise_by_name, (name,))))
    codec = PickleCodec(THRESHOLD)
    with pytest.raises(CodecError, match=f"{name}: from the stream"):
        codec.decode(stream)
    with pytest.raises(CodecError, match=f"{name}: from the stream"):
        codec.decode(stream, [b"buffer"])


@pytest.mark.parametrize("codec", [PickleCodec(THRESHOLD), MsgpackCodec(THRESHOLD)])
@pytest.mark.parametrize(
    "noise", [b"", b"\x80\x05", b"\xff\xfe\xfd", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 200_000]
)
def test_broken_streams_are_refused(codec: Any, noise: bytes):
    """Noise, truncation, claims of four billion items and deep nesting end in an error at once."""
    if codec.name == "pickle" and noise.startswith(b"\x91"):
        noise = b"(" * 10
    with pytest.raises(CodecError):
        codec.decode(noise)


def test_buffers_that_are_missing_are_an_error():
    """A stream that asks for more buffers than came is not a value."""
    encoded = PickleCodec(THRESHOLD).encode([b"x" * 100_000])
    with pytest.raises(CodecError):
        PickleCodec(THRESHOLD).decode(encoded.stream, [])


def test_msgpack_turns_what_it_has_no_word_for_into_plain_data():
    """Tuples and sets arrive as lists: documented, and the same at every size."""
    codec = MsgpackCodec(THRESHOLD)
    assert carry(codec, {"pair": (1, 2), "set": {3}, "bytes": bytearray(b"b")}) == {
        "pair": [1, 2],
        "set": [3],
        "bytes": b"b",
    }
    assert carry(codec, (b"x" * 100_000, (1,))) == [b"x" * 100_000, [1]]
    assert math.isnan(carry(codec, math.nan))


@pytest.mark.parametrize("value", [object(), np.arange(3), lambda: 1, ValueError("x"), 2**64, Node()])
def test_msgpack_refuses_what_is_no_data(value: Any):
    """Nothing is pickled behind the caller's back."""
    with pytest.raises(CodecError):
        MsgpackCodec(THRESHOLD).encode([value])


def test_msgpack_never_unpickles(tmp_path: Path):
    """A pickle in place of data is refused or is data; it is not run."""
    marker = tmp_path / "marker"
    evil = pickle.dumps(Node(lambda: (os.system, (f"touch {marker}",))))
    codec = MsgpackCodec(THRESHOLD)
    for attempt in (lambda: codec.decode(evil), lambda: codec.decode_result(memoryview(evil))):
        with pytest.raises(CodecError):
            attempt()
    with pytest.raises(CodecError):
        codec.decode(codec.encode("x"), [b"buffer"])
    assert codec.decode(codec.encode(evil)) == evil
    assert not marker.exists()


def test_the_setting_chooses_the_codec():
    """By the names that `Settings.codec` knows, with its threshold."""
    assert (make_codec("pickle", 1024).name, make_codec("msgpack", 1024).name) == ("pickle", "msgpack")
    for name in ("pickle", "msgpack"):
        assert type(make_codec(name, 1024).encode(list(range(1000)))) is Encoded
        assert type(make_codec(name, THRESHOLD).encode(list(range(1000)))) is bytes
