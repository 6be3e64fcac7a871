"""A FastAPI application whose work is done by a pool: all that `millpond.http.integration` has, in one place.

Run it with `uvicorn examples.web.fastapi_app:app`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

import millpond
import millpond.http
from examples.web.words import Words
from millpond.http.integration import (
    begun,
    cancel_on_disconnect,
    exception_handlers,
    healthz,
    lifespan,
    metrics,
    provide,
    readyz,
)

pool = millpond.Pool(Words, name="words", min_workers=1, max_workers=2)


# Lives: what the application has of its own begins before the pool, and ends after it.


@asynccontextmanager
async def own(application: Any) -> AsyncGenerator[dict[str, Any], None]:
    """The application's own lifespan; what it yields is `request.state`."""
    yield {"greeting": "Words of"}


app = FastAPI(
    title="Words",
    lifespan=lifespan(pool, within=own),
    exception_handlers=exception_handlers(),  # a pool's errors become problem+json, with the right status
)

# Routes get the pool as a dependency, so that a test can give them another.

WordsPool = Annotated[millpond.Pool, Depends(provide(pool))]


class Text(BaseModel):
    """What is read."""

    text: str = Field(max_length=100_000)
    most: int = Field(default=3, ge=1, le=100)


@app.post("/frequent")
async def frequent(request: Request, body: Text, words: WordsPool) -> dict[str, int]:
    """The most frequent words. Who leaves before the answer is there costs no more work."""
    call = words.options(deadline=10.0).call("frequent", body.text, most=body.most)
    found: dict[str, int] = await cancel_on_disconnect(request, call)
    return found


@app.post("/slow")
async def slow(request: Request, words: WordsPool, seconds: float = 1.0, deadline: float = 30.0) -> float:
    """Take a while; with a shorter deadline the answer is 504, and says what became of the work."""
    took: float = await cancel_on_disconnect(request, words.options(deadline=deadline).call("slow", seconds))
    return took


@app.post("/spelled")
async def spelled(body: Text, words: WordsPool) -> StreamingResponse:
    """The words as lines, each as soon as a worker has it; the stream ends with its reader."""
    spelled = await begun(
        words.stream("spelled", body.text)
    )  # what fails before the first word has a status of its own
    return StreamingResponse((f"{word}\n" async for word in spelled), media_type="text/plain")


# For whoever looks after it. `/metrics` is open here; keep it from the public as you keep other pages from it.

app.add_route("/healthz", healthz, include_in_schema=False)
app.add_route("/readyz", readyz(pool), include_in_schema=False)
app.add_route("/metrics", metrics(pool), include_in_schema=False)

# All of the pool's own API below a prefix, with its documentation at /pools/docs, for whoever knows the key.

KEY = os.environ.get("WORDS_KEY", "")


def who(scope: MutableMapping[str, Any]) -> millpond.http.Caller | None:
    """An administrator, by the application's own key; nobody without."""
    given = dict(scope["headers"]).get(b"x-key", b"")
    if not KEY or not secrets.compare_digest(given, KEY.encode()):
        return None
    return millpond.http.Caller("operations", "admin", "program")


app.mount("/pools", millpond.http.app(pool, auth=who))
