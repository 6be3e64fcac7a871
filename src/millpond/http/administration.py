"""Commands for administrators: size, settings, draining, the optimizer, new workers, silences, calls.

Each answers with what holds then, and is told as an event with who gave it. A command goes on if its client leaves.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from millpond.errors import PoolError
from millpond.events import PoolAdministered
from millpond.http.access.caller import MAY_ADMINISTER
from millpond.http.asking import body_of, headers_of
from millpond.http.figures import figures
from millpond.http.formats import check_json, decoded
from millpond.http.problems import Problem
from millpond.http.routing import caller_of, pool_of, route

if TYPE_CHECKING:
    from millpond.pool import Pool

_MOST_BYTES = 64 * 1024
ONE_LINE = 200  # characters of a comment
MOST_SILENT_S = 365 * 86_400.0


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A command without arguments."""


class Resize(msgspec.Struct, forbid_unknown_fields=True):
    """New bounds of the number of workers."""

    min_workers: int | None = None
    max_workers: int | None = None


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """Why, for the journal."""

    reason: str = "asked to"


class Silence(msgspec.Struct, forbid_unknown_fields=True):
    """Which alerts to keep quiet, by the labels they have, and for how long."""

    matchers: str
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MOST_SILENT_S)]
    comment: str = ""


class Unsilence(msgspec.Struct, forbid_unknown_fields=True):
    """Which silence to end."""

    id: str


class Cancel(msgspec.Struct, forbid_unknown_fields=True):
    """Which call to give up."""

    call_id: int


async def resize(pool: Pool, asked: Resize, by: str) -> dict[str, Any]:
    """Set new bounds, and wait until the floor is ready."""
    await pool.resize(min_workers=asked.min_workers, max_workers=asked.max_workers)
    return size_of(pool)


async def configure(pool: Pool, asked: dict[str, Any], by: str) -> dict[str, Any]:
    """Change live settings; answers those whose value is another now."""
    try:
        return {"changed": await pool.configure(**asked)}
    except TypeError as error:
        raise Problem(400, "bad_argument", str(error), field=_field(asked, error)) from None


async def drain(pool: Pool, asked: Nothing, by: str) -> dict[str, Any]:
    """Take no more calls, and wait until those there are have ended."""
    await pool.drain()
    return {"state": pool.statistics().state}


async def replace_workers(pool: Pool, asked: Nothing, by: str) -> dict[str, Any]:
    """Load the handler's code anew and replace every worker."""
    await pool.replace_workers()
    return size_of(pool)


async def pause(pool: Pool, asked: Reason, by: str) -> dict[str, Any]:
    """Let the optimizer change nothing until it is resumed."""
    pool.optimizer.pause(asked.reason[:ONE_LINE])
    return {"state": pool.optimizer.state}


async def resume(pool: Pool, asked: Reason, by: str) -> dict[str, Any]:
    """Let the optimizer go on."""
    pool.optimizer.resume(asked.reason[:ONE_LINE])
    return {"state": pool.optimizer.state}


async def silence(pool: Pool, asked: Silence, by: str) -> dict[str, Any]:
    """Send no notifications of some alerts for a time."""
    try:
        made = pool.alerts.silence(asked.matchers, asked.seconds, author=by, comment=asked.comment[:ONE_LINE])
    except ValueError as error:
        raise Problem(400, "bad_argument", str(error), field="$.matchers") from None
    return {"id": made.id, "seconds": asked.seconds}


async def unsilence(pool: Pool, asked: Unsilence, by: str) -> dict[str, Any]:
    """End a silence before its time."""
    if not pool.alerts.lift(asked.id):
        raise Problem(404, "unknown_silence", "There is no such silence.")
    return {"id": asked.id}


async def cancel(pool: Pool, asked: Cancel, by: str) -> dict[str, Any]:
    """Give up a call that waits or runs; its caller is told that it was cancelled."""
    return {"call_id": asked.call_id, "cancelled": pool.cancel_call(asked.call_id)}


def size_of(pool: Pool) -> dict[str, Any]:
    """The pool's bounds and numbers."""
    seen, settings = pool.statistics(), pool.settings
    return {
        "min_workers": settings.min_workers,
        "max_workers": settings.max_workers,
        "wanted": seen.wanted,
        "asked_for": seen.asked_for,
        "alive": seen.alive,
    }


Command = Callable[[Any, Any, str], Awaitable[dict[str, Any]]]
COMMANDS: dict[str, tuple[Any, Command]] = {
    "resize": (Resize, resize),
    "configure": (dict[str, Any], configure),
    "drain": (Nothing, drain),
    "replace_workers": (Nothing, replace_workers),
    "pause": (Reason, pause),
    "resume": (Reason, resume),
    "silence": (Silence, silence),
    "unsilence": (Unsilence, unsilence),
    "cancel": (Cancel, cancel),
}


async def command(request: Request) -> Response:
    """Carry a command out."""
    pool, verb, by = pool_of(request), request.path_params["verb"], caller_of(request).owner
    if verb not in COMMANDS:
        raise Problem(404, "unknown_verb", f"There is no such command; there are {', '.join(COMMANDS)}.")
    kind, carry_out = COMMANDS[verb]
    headers = headers_of(request.scope)
    body = await body_of(request.receive, headers, _MOST_BYTES)
    check_json(headers, body)
    asked = decoded(body, kind)
    pool.telemetry.execute(PoolAdministered(verb, by or "the program"))
    try:
        return figures(await asyncio.shield(asyncio.ensure_future(carry_out(pool, asked, by))))
    except PoolError:  # comes first: `StartFailed` is a `RuntimeError` too
        raise
    except ValueError as error:
        raise Problem(400, "bad_argument", str(error), field=_field(asked, error)) from None
    except RuntimeError as error:  # the pool has no optimizer, or no alerts
        raise Problem(409, "not_there", str(error)) from None


def _field(asked: Any, error: Exception) -> str:
    """The member of the body that an error speaks of, or the whole body."""
    members = asked if isinstance(asked, dict) else getattr(asked, "__struct_fields__", ())
    words = set(re.findall(r"\w+", str(error)))
    return next((f"$.{name}" for name in members if name in words), "$")


ROUTES = [route("/v1/pools/{pool}/admin/{verb}", command, methods=["POST"], roles=MAY_ADMINISTER)]
