"""States as they are sent ahead of answers: what arrives is what was sent, however little of it travelled."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.wire.frames import SEGMENTED, ProtocolError
from millpond.wire.saved import DIFFERENT, UNCHANGED, UNSAVED, difference, restored, touched
from millpond.wire.segments import Parts

PIECES = st.binary(max_size=40)


@given(start=PIECES, end=PIECES, before=PIECES, after=PIECES)
def test_a_difference_makes_the_new_state_of_the_old_one(start, end, before, after):
    """Whatever the two have in common, overlapping repetitions included."""
    old, new = start + before + end, start + after + end
    told = difference(old, new)
    if told is not None:
        assert restored(old, DIFFERENT, told) == (new, "")
        assert len(told) <= len(new)


@given(old=st.binary(max_size=200), new=st.binary(max_size=200))
def test_any_two_states_will_do(old, new):
    """Also if one is empty, or the beginning of the other."""
    told = difference(old, new)
    assert told is None or restored(old, DIFFERENT, told) == (new, "")


@given(old=st.binary(max_size=300), new=st.binary(max_size=300), newer=st.binary(max_size=300))
def test_looking_first_where_the_last_difference_was_changes_nothing_else(old, new, newer):
    """The place may be wrong, beyond the end of the states, or right by chance."""
    like = difference(old, new) or b""
    told = difference(new, newer, like)
    assert told is None or restored(new, DIFFERENT, told) == (newer, "")


@given(start=PIECES, end=PIECES, pieces=st.lists(PIECES, min_size=2, max_size=4))
def test_states_that_change_in_one_place_again_and_again_arrive(start, end, pieces):
    """Each difference is found beside the one before."""
    states, like = [start + piece + end for piece in pieces], b""
    for before, after in pairwise(states):
        like = difference(before, after, like) or b""
        if like:
            assert restored(before, DIFFERENT, like) == (after, "")


def test_a_small_change_of_a_large_state_is_small():
    """Ten bytes in the middle of a hundred thousand."""
    old = bytes(range(256)) * 400
    new = old[:50_000] + b"0123456789" + old[50_010:]
    told = difference(old, new)
    assert told is not None
    assert len(told) < 30


def test_what_has_nothing_in_common_is_sent_whole():
    """A difference would only be longer."""
    assert difference(b"a" * 1000, b"b" * 1000) is None


def test_a_state_that_is_as_it_was_is_the_same_object():
    """So that nobody takes it for a new one."""
    before = b"state" * 3
    assert restored(before, UNCHANGED, b"")[0] is before
    assert restored(None, UNCHANGED, b"") == (None, "")


def test_a_state_says_how_it_is_read_and_why_there_is_none():
    """In parts, or not at all."""
    assert type(restored(None, SEGMENTED, b"parts")[0]) is Parts
    assert restored(b"before", UNSAVED, b"it holds a lock") == (None, "it holds a lock")


@pytest.mark.parametrize(("before", "body"), [(None, b"\0" * 8), (b"abc", b"\0"), (b"abc", b"\2\0\0\0\2\0\0\0x")])
def test_a_difference_from_something_else_is_refused(before, body):
    """The worker is not believed."""
    with pytest.raises(ProtocolError, match="state"):
        restored(before, DIFFERENT, body)


@given(start=PIECES, end=PIECES, before=PIECES, name=st.sampled_from([b"name", b"long_name"]))
def test_what_was_touched_holds_every_name_that_was_not_there(start, end, before, name):
    """Also one of which only a part differs."""
    old, new = start + before + end, start + name + end
    told = difference(old, new)
    if told is not None and name not in old:
        assert name in touched(new, told)
