"""FastAPI with a route of one's own that checks the body with pydantic and calls Millpond's pool."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fastapi
import uvicorn

import millpond
from benchmarks.http.work import Label, Request

pool = millpond.Pool("benchmarks.http.work:Classifier", min_workers=2, max_workers=2)


@asynccontextmanager
async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
    async with pool:
        yield


app = fastapi.FastAPI(lifespan=lifespan)


@app.post("/classify")
async def classify(request: Request) -> Label:
    answer: Label = await pool.call("classify", request.item)
    return answer


def main(port: str) -> None:
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
