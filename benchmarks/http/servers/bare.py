"""Bare ASGI on uvicorn, without workers, checks or types: what the HTTP server alone can do, in one process."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

ANSWER = b'{"label":"a dog","score":0.5}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(START)
    await send({"type": "http.response.body", "body": ANSWER})


def main(port: str) -> None:
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    main(*sys.argv[1:])
