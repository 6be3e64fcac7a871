"""The headers of a call: what each may be, and that nothing else is taken for it."""

from __future__ import annotations

import pytest

from millpond.http.asking import headers_of, options_of, trace_of
from millpond.http.problems import Problem

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "value", "option"),
    [
        ("millpond-deadline", "2.5", {"deadline": 2.5}),
        ("millpond-deadline", "1e-05", {"deadline": 1e-05}),
        ("millpond-deadline", "0", {"deadline": 0.0}),
        ("millpond-deadline", "inf", {"deadline": None}),
        ("millpond-priority", "-3", {"priority": -3}),
        ("millpond-idempotent", "True", {"idempotent": True}),
        ("millpond-on-cancel", "abandon", {"on_cancel": "abandon"}),
    ],
)
def test_headers_set_the_options_of_a_call(header, value, option):
    """Each its own."""
    assert options_of({header.encode(): value.encode()}) == option


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("Millpond-Deadline", ["", "soon", "1_0", "-1", "nan", "infinity", "1e9", "0x10", "1,5", " 1", "1" * 400]),
        ("Millpond-Priority", ["", "1.0", "1_0", "high", "99999999999"]),
        ("Millpond-Idempotent", ["", "1", "yes"]),
        ("Millpond-On-Cancel", ["", "Interrupt", "kill"]),
    ],
)
def test_a_value_that_no_call_can_have_names_its_header(header, values):
    """And is a problem before anything has run."""
    for value in values:
        with pytest.raises(Problem) as told:
            options_of({header.lower().encode(): value.encode()})
        assert (told.value.status, told.value.members["header"]) == (400, header), value
        assert told.value.members["outcome"] == "not_started"


@pytest.mark.parametrize(
    ("parent", "is_context"),
    [
        (PARENT, True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-says", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"{PARENT}-more", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (PARENT.upper(), False),
        (f"{PARENT}\n", False),
        ("", False),
    ],
)
def test_what_is_no_trace_context_is_none(parent, is_context):
    """By the rules of W3C Trace Context; a malformed one is left out, and the call goes on."""
    assert trace_of({b"traceparent": parent.encode()}) == (parent if is_context else "")


def test_the_state_of_a_trace_goes_with_it():
    """And not without it."""
    assert trace_of({b"traceparent": PARENT.encode(), b"tracestate": b"a=1,b=2"}) == f"{PARENT}\na=1,b=2"
    assert trace_of({b"tracestate": b"a=1"}) == ""


def test_a_header_that_comes_twice_says_one_thing():
    """Lists may come in parts; any other that differs from itself is read in two ways by two programs."""
    twice = [(b"accept", b"text/html"), (b"accept", b"*/*"), (b"millpond-session", b"a"), (b"millpond-session", b"a")]
    assert headers_of({"headers": twice}) == {b"accept": b"text/html,*/*", b"millpond-session": b"a"}
    with pytest.raises(Problem, match="comes twice"):
        headers_of({"headers": [(b"millpond-session", b"a"), (b"millpond-session", b"b")]})
