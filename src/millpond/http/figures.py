"""A pool's records as JSON: what is no number (not a number, infinite) is null, mappings and records are objects."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from millpond.http.headers import accepts_gzip
from millpond.http.routing import json_response

_LARGE = 4096  # bytes: less is sent sooner than it is compressed
_LEVEL = 4  # of compression: a tenth of the size is left, at a third of the time of the best


def encoded(value: Any) -> bytes:
    """The value as JSON; half a surrogate pair, which no JSON can have, is written as `\\udc80`."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_readable(msgspec.to_builtins(value, enc_hook=_plain)))


def figures(value: Any, status: int = 200) -> Response:
    """An answer of figures."""
    return json_response(encoded(value), status)


async def large_figures(request: Request, make: Callable[[], Any]) -> Response:
    """An answer of many figures, made, encoded and compressed (if it is large, and that is accepted) in a thread."""
    return await asyncio.to_thread(lambda: compressed(request, json_response(encoded(make()))))


def compressed(request: Request, response: Response) -> Response:
    """The answer, compressed if it is large and the client accepts that; not for the loop's thread."""
    headers = response.headers
    headers.add_vary_header("Accept-Encoding")
    if len(response.body) > _LARGE and accepts_gzip(request.headers.get("accept-encoding", "")):
        response.body = gzip.compress(response.body, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(response.body))
    return response


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_readable(key): _readable(one) for key, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # of numpy
        return value.tolist()
    raise TypeError(f"a {type(value).__qualname__} has no place in an answer")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
