"""A Starlette application with a pool. Run it with `uvicorn examples.web.starlette_app:app`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

import millpond
import millpond.http
from examples.web.words import Words
from millpond.http.integration import cancel_on_disconnect, exception_handlers, lifespan, readyz

pool = millpond.Pool(Words, name="words", min_workers=1, max_workers=2)


async def frequent(request: Request) -> Response:
    """The most frequent words of the body."""
    text = (await request.body()).decode()
    return JSONResponse(await cancel_on_disconnect(request, pool.call("frequent", text)))


app = Starlette(
    routes=[
        Route("/frequent", frequent, methods=["POST"]),
        Route("/readyz", readyz(pool)),
        Mount("/pools", millpond.http.app(pool, auth="token")),
    ],
    lifespan=lifespan(pool),
    exception_handlers=exception_handlers(),
)
