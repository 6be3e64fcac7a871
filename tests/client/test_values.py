"""What arguments and results are over HTTP: data, in msgpack, as with the codec of that name."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from millpond.client.values import decode_result, encode_arguments
from millpond.errors import BadArgument, InternalError


class Refusing:
    """A value that is no data."""


@pytest.mark.parametrize(
    ("args", "kwargs", "document"),
    [
        ((), {}, {}),
        ((1, b"bytes"), {}, [1, b"bytes"]),
        ((), {"name": "Ann"}, {"name": "Ann"}),
        ((1,), {"name": "Ann"}, {"*": [1], "name": "Ann"}),
    ],
)
def test_arguments_are_one_document(args, kwargs, document):
    """By position a list, by name a map, both in a map whose key `*` has those by position."""
    assert msgspec.msgpack.decode(encode_arguments("echo", args, kwargs)) == document


def test_what_is_no_data_is_refused_before_anything_is_sent():
    """Also a keyword that would be taken for the positions."""
    for args, kwargs in [((Refusing(),), {}), ((), {"*": [1]}), ((1,), {"*": 2}), ((2**70,), {}), (("\ud800",), {})]:
        with pytest.raises(BadArgument) as told:
            encode_arguments("echo", args, kwargs)
        assert told.value.outcome == "not_started"


def test_results_keep_their_types():
    """Bytes stay bytes, times stay times; JSON and raw bytes are understood as well."""
    value = {"bytes": b"\0\xff", "time": datetime(2026, 1, 2, tzinfo=UTC), "list": [1, 2.5, None]}
    assert decode_result(b"application/msgpack", msgspec.msgpack.encode(value)) == value
    assert decode_result(b"application/json; charset=utf-8", b'{"a": 1}') == {"a": 1}
    assert decode_result(b"application/octet-stream", b"\0") == b"\0"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"application/msgpack", b"\xc1"),
        (b"application/json", b"{"),
        (b"application/json", b"[" * 100_000),
        (b"text/html", b"<html>"),
        (b"application/python-pickle", b"\x80\x05N."),
    ],
)
def test_an_answer_that_is_no_result_is_an_internal_error(kind, body):
    """The call ran; nothing is unpickled."""
    with pytest.raises(InternalError) as told:
        decode_result(kind, body)
    assert told.value.outcome == "completed"
