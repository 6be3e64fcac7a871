"""Content types, Accept, and what is well formed: decided before a worker is given anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.http.formats import answer_format, document, format_of, has_long_integer, liked
from millpond.http.problems import Problem

LONG = "7" * 4301
NUMBERS = {
    LONG: True,
    f"-{LONG}": True,
    "7" * 4300: False,
    f"{LONG}.5": False,
    f"{LONG}e5": False,
    f"{LONG}E5": False,
    f"0.{LONG}": False,
    f"1e-{LONG}": False,
    f"1E+{LONG}": False,
    f"1e{LONG}": False,
    f"true,{LONG}": True,
}


def refusal(function: Any, *args: Any) -> int:
    """The status of the problem that a function raises."""
    with pytest.raises(Problem) as told:
        function(*args)
    assert told.value.members["outcome"] == "not_started"
    return told.value.status


@pytest.mark.parametrize(("text", "is_long"), NUMBERS.items(), ids=range(len(NUMBERS)))
def test_integers_that_python_does_not_read_are_refused(text, is_long):
    """Those of more than 4,300 digits, wherever they stand; fractions and exponents are none."""
    for form in ("[%s]", '{"a":%s}', '["\\"\\\\",%s]', '["x",[%s],"y"]'):
        body = (form % text).encode()
        assert has_long_integer(body) is is_long
        if is_long:
            assert refusal(document, body, "json") == 400


TEXT = st.lists(st.sampled_from(['"', "\\", LONG, "x", "é", "\n"]), max_size=6).map("".join)
LEAF = st.one_of(TEXT, st.just(int("7" * 4300)), st.sampled_from([1, -2.5, None, True]))


@given(st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)))
def test_digits_in_a_text_are_no_integer(value):
    """Whatever quotes and backslashes stand around them."""
    body = json.dumps(value).encode()
    assert not has_long_integer(body)
    assert document(body, "json").body == body
    assert has_long_integer(b"[%b,%b]" % (body, LONG.encode()))


@pytest.mark.parametrize("before", [0, 1, 4299, 4300, 4301])
def test_an_integer_is_found_wherever_a_piece_ends(before):
    """Large bodies are looked at in pieces, which overlap."""
    body = b" " * (1024 * 1024 - before - 1) + b"[%b]" % LONG.encode()
    assert refusal(document, body, "json") == 400
    short = b" " * (1024 * 1024 - before - 1) + b"[%b]" % (b"7" * 4300)
    assert document(short, "json").body == short


def test_the_search_for_integers_takes_time_that_grows_with_the_body():
    """Runs of digits that are just short enough, many of them: a search that began anew at each would take minutes."""
    assert not has_long_integer((b"7" * 4300 + b",") * 16_000)


@pytest.mark.parametrize(
    "body", [b"[", b"NaN", b"[Infinity]", b"[1,]", b"1 2", b"[" * 200_000, b'"\\ud800"', b"\xef\xbb\xbf1"]
)
def test_what_is_not_well_formed_is_refused(body):
    """Truncated, too deep, and what only looks like JSON."""
    assert refusal(document, body, "json") == 400


@pytest.mark.parametrize("body", [b"\xc1", b"\x91", b"\x91" * 200_000, b"\xc0\xc0"])
def test_what_is_no_msgpack_is_refused(body):
    """The same of msgpack."""
    assert refusal(document, body, "msgpack") == 400


@pytest.mark.parametrize(
    ("content_type", "format"),
    [
        (b"application/json", "json"),
        (b"Application/JSON ; charset=UTF-8", "json"),
        (b'application/json;charset="utf-8"', "json"),
        (b"application/x-msgpack", "msgpack"),
        (b"application/vnd.msgpack", "msgpack"),
        (b"application/octet-stream; charset=latin-1", "bytes"),
    ],
)
def test_a_body_is_what_its_content_type_says(content_type, format):
    """In whatever case, with or without parameters."""
    assert format_of({b"content-type": content_type}, b"1") == format


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"content-type": b"text/plain"},
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"application/x-python-pickle"},
        {b"content-type": b"application/json; charset=latin-1"},
        {b"content-type": b"application/json", b"content-encoding": b"gzip"},
    ],
)
def test_another_kind_of_body_is_415(headers):
    """No type, a form, a pickle, another charset, a compressed one."""
    assert refusal(format_of, headers, b"1") == 415


def test_no_body_needs_no_type():
    """A call without arguments is sent with nothing."""
    assert format_of({}, b"") == "json"
    assert format_of({b"content-encoding": b"identity"}, b"") == "json"


@pytest.mark.parametrize(
    ("accept", "given", "format"),
    [
        (None, "msgpack", "msgpack"),
        (b"", "msgpack", "msgpack"),
        (b"*/*", "bytes", "bytes"),
        (b"application/*", "msgpack", "msgpack"),
        (b"application/json", "msgpack", "json"),
        (b"application/json;q=0, */*", "json", "msgpack"),
        (b"application/json;q=0.5, application/msgpack", "json", "msgpack"),
        (b"application/msgpack;q=0.5, application/json;q=0.2, */*;q=0.1", "bytes", "msgpack"),
        (b"application/json, text/plain, */*", "bytes", "json"),
        (b"*/*;q=0.1, application/octet-stream;q=0", "bytes", "json"),
        (b"APPLICATION/JSON ; Q=1.0", "bytes", "json"),
        (b"application/json;q=1_0, application/msgpack;q=0.1", "json", "msgpack"),
    ],
)
def test_accept_chooses_the_answer(accept, given, format):
    """The most specific range that fits a format has its weight; without a choice it is the request's."""
    assert answer_format(accept, given) == format


@pytest.mark.parametrize("accept", [b"text/html", b"application/json;q=0", b"*/*;q=0", b"application/json;q=nan", b","])
def test_what_no_format_is_accepted_by_is_406(accept):
    """Before anything has run."""
    assert refusal(answer_format, accept, "json") == 406


def test_the_first_offer_is_taken_of_equal_ones():
    """As servers of streams do."""
    assert liked("*/*", ["text/event-stream", "application/x-ndjson"], "Streams") == "text/event-stream"
