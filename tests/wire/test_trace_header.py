"""A trace header in front of the arguments comes off as it went on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millpond.wire.trace_header import LONGEST, prefix, split


@given(st.binary(max_size=LONGEST), st.binary(max_size=100))
def test_header_and_body_are_told_apart(header, body):
    """Whatever either holds, as bytes and as a view of them."""
    whole = prefix(header) + body
    assert split(whole) == (header, body)
    taken, rest = split(memoryview(whole))
    assert (taken, bytes(rest)) == (header, body)
