"""Exceptions as data: their classes, messages and attributes come back as they were, and nothing else leaves."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import os
import pathlib
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.wire.exceptions import CARRIED_LIMIT
from millpond.wire.plain import decode_exception, encode_exception


class Outer:
    """A place for a class inside a class."""

    class Inner(Exception):
        """Found by its dotted name."""


class Level(enum.IntEnum):
    """A number with a name."""

    HIGH = 3


class Text(str):
    """Text that is more than text."""


class Slotted(Exception):
    """Has an attribute that is in no dictionary."""

    __slots__ = ("code",)
    more: str


class Reduced(Exception):
    """Is made by something else, if asked."""

    def __reduce__(self) -> Any:
        return (os.system, ("true",))


class Picky(Exception):
    """Cannot be made by its constructor."""

    def __init__(self) -> None:
        raise RuntimeError


def carry(error: BaseException) -> Any:
    """The error out of the data it became."""
    data, _, is_whole = encode_exception(error, CARRIED_LIMIT)
    assert is_whole
    return decode_exception(data)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.binary().map(bytearray),
    st.complex_numbers(allow_nan=False),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.just(datetime.UTC) | st.none()),
    st.times(),
    st.timedeltas(),
    st.sampled_from([pathlib.Path("/a/b"), pathlib.PurePosixPath("c"), datetime.timezone(datetime.timedelta(hours=2))]),
)
hashable = st.integers() | st.text() | st.tuples(st.integers(), st.binary())
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(hashable, inner)
        | st.sets(hashable)
        | st.frozensets(hashable)
    ),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Equal, with the same types all the way down (`True == 1 == 1.0` otherwise)."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


@given(st.lists(values, max_size=3), st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), values, max_size=3))
def test_plain_data_in_an_exception_keeps_its_types(args: list[Any], attributes: dict[str, Any]):
    """Arguments and attributes come back equal, type by type."""
    error = ValueError(*args)
    error.__dict__.update(attributes)
    out = carry(error)
    assert type(out) is ValueError
    assert same(out.args, error.args)
    assert same(out.__dict__, error.__dict__)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "no such file", "name"),
        FileNotFoundError(2, "no such file", pathlib.Path("name"), None, "other"),
        ImportError("text", name="module", path="where"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        SyntaxError("bad", ("file", 1, 2, "text", 1, 3)),
        KeyError(("a", 1)),
        Outer.Inner("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_with_native_attributes_keep_them(error: Exception):
    """File names, module names and positions are not in `args`, and arrive all the same."""
    out = carry(error)
    assert type(out) is type(error)
    assert str(out) == str(error)
    for name in (
        "args",
        "errno",
        "filename",
        "filename2",
        "name",
        "path",
        "start",
        "reason",
        "lineno",
        "offset",
        "text",
    ):
        assert getattr(out, name, None) == getattr(error, name, None)


def test_notes_and_groups_arrive():
    """Exceptions inside an exception are exceptions again, the same ones where `args` names them."""
    group = ExceptionGroup("group", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])])
    group.add_note("a note")
    out = carry(group)
    assert isinstance(out, ExceptionGroup)
    assert repr(out) == repr(group)
    assert out.__notes__ == ["a note"]


def test_a_message_made_by_the_constructor_is_not_made_twice():
    """`args` arrive as they were; the usual pickle would build the message from the message."""
    error = json_error()
    out = carry(error)
    assert (out.args, out.pos, out.doc) == (error.args, 3, "doc")
    one = Named("x")
    assert (str(carry(one)), carry(one).name) == ("x not found", "x")


class Named(Exception):
    """The common shape: one argument, a message made of it, an attribute."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} not found")
        self.name = name


def json_error() -> Any:
    """An exception with a `__reduce__` of its own."""
    import json

    return json.JSONDecodeError("bad", "doc", 3)


def test_subclasses_of_plain_types_become_plain():
    """The class of an argument is worth less than the class of the exception."""
    out = carry(ValueError(Level.HIGH, Text("t"), np.float64(1.5), np.int64(7), np.str_("n"), np.bool_(True)))
    assert [(type(item), item) for item in out.args] == [
        (int, 3),
        (str, "t"),
        (float, 1.5),
        (int, 7),
        (str, "n"),
        (bool, True),
    ]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError(object()), id="ValueError(object())"),  # whose repr differs in every process
        ValueError([len]),
        ValueError({1: ValueError}),
        ValueError({ValueError(1)}),  # whose class may have a `__hash__`
        ValueError({(1, ValueError(1)): 2}),
        ValueError(np.zeros(3)),
        ValueError("\ud800"),
    ],
    ids=repr,
)
def test_what_is_no_plain_data_leaves_the_worker_as_its_repr(error: BaseException):
    """Objects, classes, functions and arrays, and what holds them."""
    data, _, is_whole = encode_exception(error, CARRIED_LIMIT)
    out = decode_exception(data)
    assert (type(out), out.args, is_whole) == (ValueError, (repr(error.args[0]),), False)


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        BaseExceptionGroup("group", [KeyboardInterrupt(), ValueError(1)]),
        ValueError(KeyboardInterrupt("x")),
    ],
    ids=repr,
)
def test_exits_and_interrupts_are_exceptions_as_others(error: BaseException):
    """Whether they are raised is for who gets them to say."""
    out = carry(error)
    assert (type(out), repr(out)) == (type(error), repr(error))
    assert getattr(out, "code", None) == getattr(error, "code", None)


def test_an_exception_that_holds_itself_ends():
    """Where it is too deep the rest is its `repr`, and not the end of memory."""
    error = ValueError()
    error.args = (error,)
    data, _, is_whole = encode_exception(error, CARRIED_LIMIT)
    assert (type(decode_exception(data)), is_whole) == (ValueError, False)


def test_an_exception_that_says_it_is_made_otherwise_is_not_asked():
    """A `__reduce__` may name any function; the class keeps its name, arguments and attributes without it."""
    out = carry(Reduced("x"))
    assert (type(out), out.args) == (Reduced, ("x",))


def test_slots_arrive():
    """The usual pickle loses them, unless the constructor takes them."""
    error = Slotted("text")
    error.code, error.more = 5, "m"
    out = carry(error)
    assert (type(out), out.args, out.code, out.__dict__) == (Slotted, ("text",), 5, {"more": "m"})


def test_the_class_keeps_what_its_constructor_would_refuse():
    """It is not called: neither where it takes other arguments, nor where it raises."""
    error = Picky.__new__(Picky, "x")
    assert (type(carry(error)), carry(error).args) == (Picky, ("x",))


def test_named_types_are_these_only():
    """What is rebuilt by calling a class of the standard library; each takes plain data and does nothing else."""
    values = [
        1 + 2j,
        decimal.Decimal("1.5"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        pathlib.PurePosixPath("a"),
        datetime.date(2020, 1, 2),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.UTC, fold=1),
        datetime.time(1, 2),
        datetime.timedelta(1, 2, 3),
        datetime.timezone.utc,  # noqa: UP017
    ]
    out = carry(ValueError(*values)).args
    assert list(out) == values
    assert list(map(type, out)) == list(map(type, values))
    assert out[6].fold == 1
