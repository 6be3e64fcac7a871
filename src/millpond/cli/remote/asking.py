"""How commands ask a server: by `millpond.Client`, with one way to tell what went wrong and the exit code for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from cyclopts import Parameter

from millpond.cli.exit_codes import DENIED, FAILED, UNREACHABLE, USAGE
from millpond.cli.parameters import AsJson
from millpond.cli.terminal import exit_with, say_json, warn
from millpond.errors import AccessDenied, HandlerError, PoolError, Unreachable


@Parameter(name="*")
@dataclass(frozen=True)
class Server:
    """Which server is asked, and how the answer is printed."""

    url: Annotated[str, Parameter(name="--url", env_var="MILLPOND_URL")] = "http://127.0.0.1:8000"
    "Where the server is: http://HOST:PORT, https://HOST:PORT or unix:/path/of/its/socket."
    pool: Annotated[str, Parameter(name="--pool", env_var="MILLPOND_POOL")] = "default"
    "The pool's name."
    as_json: AsJson = False
    "Print one JSON object, errors too."


DEFAULT = Server()


def ask(server: Server, question: Callable[[Any], Awaitable[Any]]) -> Any:
    """What `question` returns, given an open client; exits with what is wrong."""
    from millpond import Client
    from millpond.token_file import StateError

    async def asked() -> Any:
        async with Client(server.url, pool=server.pool) as client:
            return await question(client)

    try:
        return asyncio.run(asked())
    except PoolError as error:
        fail(server, error)
    except (StateError, ValueError, TypeError) as error:
        refuse(server, str(error))


def refuse(server: Server, why: str) -> NoReturn:
    """Exit because the command cannot be."""
    exit_with(why, USAGE, server.as_json)


def fail(server: Server, error: PoolError) -> NoReturn:
    """Tell an error, and exit with the code that goes with it."""
    if server.as_json:
        named = ("code", "outcome", "call_id", "attempts", "retry_after", "field", "type_name")
        said = {name: getattr(error, name, None) for name in named}
        say_json(
            {"error": {**{name: value for name, value in said.items() if value is not None}, "message": str(error)}}
        )
    else:
        warn(f"{error.code}: {_as_typed(str(error))}")
        if isinstance(error, HandlerError) and error.traceback:
            warn(error.traceback.rstrip())
        if isinstance(error, Unreachable):
            warn("is a server running there? `millpond serve module:Class` starts one; --url or MILLPOND_URL names it")
        if isinstance(error, AccessDenied):
            warn("the token is in MILLPOND_TOKEN, in the file that MILLPOND_TOKEN_FILE names, or in your state folder")
    sys.exit(UNREACHABLE if isinstance(error, Unreachable) else DENIED if isinstance(error, AccessDenied) else FAILED)


def _as_typed(text: str) -> str:
    """What an error advises a program to do, as it is written on the command line."""
    for verb, option in _OPTIONS.items():
        text = text.replace(verb, option)
    return text


_OPTIONS = {
    "use pool.stream()": "use --stream",
    "use pool.call()": "leave --stream out",
    "use pool.session(id) or pool.options(session=id)": "use --session ID",
}
