"""A pool's errors, answered by an application of one's own as its served pools do: `application/problem+json`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response

from millpond.errors import PoolError
from millpond.http.problems import Problem, problem_of

Handler = Callable[[Any, Any], Coroutine[Any, Any, Response]]


def exception_handlers() -> dict[int | type[Exception], Handler]:
    """For `FastAPI(exception_handlers=...)` or `Starlette(exception_handlers=...)`.

    Every `PoolError` becomes a problem with the status of its code, its outcome, and `Retry-After` where asking again
    helps. What a handler raised itself is the application's own to answer.
    """
    return {PoolError: _refused}


async def _refused(request: Any, error: PoolError) -> Response:
    return response_of(problem_of(error))


def response_of(problem: Problem) -> Response:
    """The problem as a response."""
    return Response(problem.body(), problem.status, problem.all_headers())
