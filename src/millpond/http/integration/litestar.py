"""For Litestar, what it does in ways of its own: exception handlers, routes, and mounting an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, asgi, get

from millpond.errors import PoolError
from millpond.http.integration import watching
from millpond.http.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
    from litestar.types import Receive, Scope, Send

    from millpond.http.application import Application
    from millpond.pool import Pool


def exception_handlers() -> dict[Any, Callable[[Any, Any], Response[bytes]]]:
    """For `Litestar(exception_handlers=...)`: every `PoolError` is answered as a problem, as a served pool does."""
    return {PoolError: _refused}


def _refused(request: Request[Any, Any, Any], error: PoolError) -> Response[bytes]:
    problem = problem_of(error)
    headers = dict(problem.all_headers())
    kind = headers.pop("Content-Type")
    return Response(problem.body(), status_code=problem.status, headers=headers, media_type=kind)


def route_handlers(*pools: Pool) -> list[HTTPRouteHandler]:
    """`/healthz`, `/readyz` and `/metrics` of these pools."""
    return [
        _handler("/healthz", watching.healthz),
        _handler("/readyz", watching.readyz(*pools)),
        _handler("/metrics", watching.metrics(*pools)),
    ]


def _handler(path: str, endpoint: watching.Endpoint) -> HTTPRouteHandler:
    async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
        got = await endpoint(request)  # type: ignore[arg-type]  # of which it reads the headers only
        headers = {name: value for name, value in got.headers.items() if name not in ("content-type", "content-length")}
        kind = got.headers["content-type"]
        return Response(bytes(got.body), status_code=got.status_code, headers=headers, media_type=kind)

    # Litestar reads these, and finds no names of this module in a function that is not at its top.
    answer.__annotations__ = {"request": Request, "return": Response[bytes]}
    return get(path, include_in_schema=False)(answer)


def mounted(path: str, application: Application) -> ASGIRouteHandler:
    """A route handler that serves `millpond.http.app(...)` below a path, which it is told as its root."""
    prefix = f"/{path.strip('/')}"

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        inner: Any = dict(scope)
        root = inner.get("root_path", "").rstrip("/") + prefix
        inside = "/" + inner["path"].strip("/")  # Litestar has taken the prefix off and put a slash at the end
        inner |= {"root_path": root, "path": root + inside}
        await application(inner, receive, send)  # type: ignore[arg-type]

    below.__annotations__ = {"scope": dict, "receive": Any, "send": Any, "return": None}
    return asgi(prefix, is_mount=True)(below)
