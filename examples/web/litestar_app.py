"""A Litestar application with a pool. Run it with `uvicorn examples.web.litestar_app:app`."""

from typing import Any

from litestar import Litestar, Request, post
from litestar.di import Provide

import millpond
import millpond.http
from examples.web.words import Words
from millpond.http.integration import cancel_on_disconnect, lifespan, provide
from millpond.http.integration.litestar import exception_handlers, mounted, route_handlers

pool = millpond.Pool(Words, name="words", min_workers=1, max_workers=2)


@post("/frequent", status_code=200)
async def frequent(request: Request[Any, Any, Any], data: dict[str, str], words: millpond.Pool) -> dict[str, int]:
    """The most frequent words."""
    found: dict[str, int] = await cancel_on_disconnect(request, words.call("frequent", data["text"]))
    return found


app = Litestar(
    route_handlers=[frequent, *route_handlers(pool), mounted("/pools", millpond.http.app(pool, auth="token"))],
    dependencies={"words": Provide(provide(pool))},
    lifespan=[lifespan(pool)],
    exception_handlers=exception_handlers(),
)
