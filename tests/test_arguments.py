"""The argument check: it lets through exactly what Python would, and says what is wrong in Python's words."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.arguments import compile_check
from millpond.worker.handler import facts_of


class Signatures:
    """One operation for each shape a signature may have."""

    def nothing(self): ...

    def two(self, a, b): ...

    def optional(self, a, b=1): ...

    def only_positional(self, a, b=1, /, c=2): ...

    def only_keyword(self, a, *, b, c=1): ...

    def many(self, a, *rest): ...

    def anything(self, *rest, **named): ...

    def named(self, a, **named): ...

    def hidden_name(self, a, /, **named): ...

    @staticmethod
    def static(a, b=1): ...

    @classmethod
    def of_class(cls, a, b=1): ...


FACTS = {facts.name: facts for facts in facts_of(Signatures).operations}
CHECKS = {name: compile_check(facts) for name, facts in FACTS.items()}


def fits(name, args, kwargs):
    """Whether Python itself would accept the call."""
    try:
        inspect.signature(getattr(Signatures(), name)).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


@given(
    st.sampled_from(sorted(CHECKS)),
    st.lists(st.integers(), max_size=4).map(tuple),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(), max_size=3),
)
def test_the_check_agrees_with_python(name, args, kwargs):
    """Whatever the signature and the arguments: refused here if and only if the call would raise."""
    assert (CHECKS[name](args, kwargs) is None) == fits(name, args, kwargs)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "told"),
    [
        ("nothing", (1,), {}, "nothing() takes 0 positional arguments but 1 were given"),
        ("two", (1,), {}, "two() is missing 'b'"),
        ("two", (), {}, "two() is missing 'a', 'b'"),
        ("two", (1, 2), {"b": 3}, "two() got multiple values for argument 'b'"),
        ("two", (1, 2), {"z": 3}, "two() got an unexpected keyword argument 'z'"),
        ("only_positional", (), {"a": 1}, "only_positional() got an unexpected keyword argument 'a'"),
        ("only_keyword", (1,), {}, "only_keyword() is missing 'b'"),
    ],
)
def test_the_refusal_says_what_is_wrong(name, args, kwargs, told):
    """In the words of Python's own TypeError, as far as it has any."""
    assert CHECKS[name](args, kwargs) == told


def test_a_session_is_no_argument():
    """Callers neither count the session's parameter nor may they fill it."""

    class Handler:
        def first(self, session, text): ...

        def last(self, text, *, session): ...

    for facts in facts_of(Handler).operations:
        check = compile_check(facts)
        assert check(("hello",), {}) is None
        assert "receives its session from the pool" in check(("hello",), {"session": 1})
        assert "takes 1 positional arguments" in check(("hello", 1), {})
