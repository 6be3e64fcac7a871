"""A trace header in front of a call's arguments: how it is put there and taken off.

The header is opaque here: a W3C `traceparent`, perhaps a newline and a `tracestate`. A frame that has one says so by
the flag `TRACED`; one without is as it always was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.wire.frames import Body

LONGEST = 4096  # bytes; a longer header is not sent
_LENGTH_BYTES = 2


def prefix(header: bytes) -> bytes:
    """What comes before the arguments."""
    return len(header).to_bytes(_LENGTH_BYTES, "little") + header


def split(body: Body) -> tuple[bytes, Body]:
    """The header, and the arguments that follow it."""
    start = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "little")
    return bytes(body[_LENGTH_BYTES:start]), body[start:]
