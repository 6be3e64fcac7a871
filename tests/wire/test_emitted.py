"""What a handler may say of its own is checked, and what is checked can travel."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond import events
from millpond.seams import RESERVED_EVENTS
from millpond.wire.emitted import ENTRIES, TEXT_LENGTH, check_name, described, measured


@pytest.mark.parametrize("name", ["model.tokens", "a.b.c", "shop.sale_2"])
def test_dotted_names_pass(name):
    """Small letters, digits and underscores, with dots between."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["tokens", "Model.tokens", ".a", "a.", "a..b", "a b.c", "a.b\n", "x." + "y" * 100])
def test_other_names_raise(name):
    """A listener's prefix has to mean something."""
    with pytest.raises(ValueError, match="no event's name"):
        check_name(name)


def test_a_single_word_is_refused_with_the_name_it_could_have():
    """Whoever reads the refusal knows what to write instead."""
    with pytest.raises(ValueError, match=r"'storm' is no event's name: .* it needs a dot, as in 'handler\.storm'"):
        check_name("storm")


def test_the_pools_own_names_are_reserved():
    """All of them: nobody takes a handler's word for the pool's."""
    assert {name.partition(".")[0] for name in events.EVENTS} <= RESERVED_EVENTS
    for name in events.EVENTS:
        with pytest.raises(ValueError, match="pool's own"):
            check_name(name)
    with pytest.raises(TypeError):
        check_name(7)


def test_measurements_are_numbers_of_any_kind():
    """numpy's too, as plain ones; an integer too large for the wire becomes a float."""
    told = measured({"a": np.float32(0.5), "b": np.int64(3), "c": 2**80, "d": 1.5, "e": True})
    assert told == {"a": 0.5, "b": 3, "c": float(2**80), "d": 1.5, "e": 1}
    assert [type(value) for value in told.values()] == [float, int, float, float, int]
    for wrong in ("many", None, [1]):
        with pytest.raises(TypeError, match="a measurement is a number"):
            measured({"tokens": wrong})


def test_metadata_is_plain_and_short():
    """Long texts are cut, everything else is refused."""
    told = described({"a": "x" * 500, "b": True, "c": None, "d": np.int64(3), "e": "\ud800"})
    assert told == {"a": "x" * (TEXT_LENGTH - 1) + "…", "b": True, "c": None, "d": 3, "e": "\\ud800"}
    with pytest.raises(TypeError, match="metadata is text"):
        described({"a": b"bytes"})


def test_there_is_a_number_of_entries_and_a_length_of_names():
    """An event is a fact, no data set."""
    with pytest.raises(ValueError, match="at most"):
        measured({f"m{number}": number for number in range(ENTRIES + 1)})
    for wrong in (7, "k" * 200):
        with pytest.raises(TypeError, match="short strings"):
            described({wrong: 1})


PLAIN = st.one_of(st.text(max_size=300), st.integers(), st.floats(), st.booleans(), st.none())


@given(st.dictionaries(st.text(max_size=20), PLAIN, max_size=8))
def test_whatever_passes_can_be_sent(metadata):
    """The encoder has no objections of its own."""
    told = described(metadata)
    back = msgspec.msgpack.decode(msgspec.msgpack.encode(told))
    assert repr(back) == repr(told)
