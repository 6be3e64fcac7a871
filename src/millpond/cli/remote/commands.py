"""The commands that ask a running server: call, status, report, resize, drain, reload, events."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from millpond.cli.parameters import Flag
from millpond.cli.remote.asking import DEFAULT, Server, ask, refuse
from millpond.cli.terminal import json_text, say, say_json, waiting, warn
from millpond.errors import Unreachable

Workers = Annotated[int | None, Parameter(validator=Number(gte=0, lte=1024))]
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smh])")
LONGEST_REPORT_S = 86_400.0
AGAIN_S = 1.0  # until a broken stream of events is followed again


def call(
    operation: str,
    /,
    *arguments: str,
    data: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    session: str | None = None,
    deadline: float | None = None,
    stream: Flag = False,
    server: Server = DEFAULT,
) -> None:
    """Call an operation of a served pool and print what it returns.

    Parameters
    ----------
    operation
        Its name.
    arguments
        Its arguments: `name=value` or values by position. A value is JSON where it can be read as that, else text.
    data
        All arguments as one JSON document, an object or an array; `@file` reads a file, `-` standard input.
    session
        The id of the session to call it in, which is opened if it is not there.
    deadline
        Seconds the call may take.
    stream
        The operation is a generator: print its items as they come, one a line.
    """
    args, kwargs = _given(server, arguments, data)

    async def asked(client: Any) -> None:
        calls = client
        if session is not None:
            calls = await client.session(session).open()
        if deadline is not None:
            calls = calls.options(deadline=deadline)
        if stream:
            async with calls.stream(operation, *args, **kwargs) as items:
                async for item in items:
                    _show(server, item, is_item=True)
        else:
            _show(server, await calls.call(operation, *args, **kwargs))

    ask(server, asked)


def _given(server: Server, arguments: tuple[str, ...], data: str | None) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by position and by name."""
    if data is not None:
        if arguments:
            refuse(server, "give arguments either by --data or one by one")
        return _document(server, data)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for one in arguments:
        name, found, value = one.partition("=")
        if found and name.isidentifier():
            kwargs[name] = _value(value)
        elif kwargs:
            refuse(server, f"{one!r} comes by position, behind an argument by name")
        else:
            args.append(_value(one))
    return args, kwargs


def _document(server: Server, data: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        text = sys.stdin.read() if data == "-" else Path(data[1:]).read_text() if data.startswith("@") else data
        found = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        refuse(server, f"--data cannot be read: {error}")
    if not isinstance(found, list | dict):
        refuse(server, "--data is an object of arguments by name, or an array of them by position")
    return (found, {}) if isinstance(found, list) else ([], found)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _show(server: Server, result: Any, is_item: bool = False) -> None:
    if server.as_json:
        say_json({"item" if is_item else "result": result})
    elif isinstance(result, bytes) and not sys.stdout.isatty():
        sys.stdout.buffer.write(result)
    elif is_item or isinstance(result, bytes):
        say_json(result)
    else:
        say(json_text(result, indent=2))
    sys.stdout.flush()


def status(*, watch: Flag = False, server: Server = DEFAULT) -> None:
    """Tell how a served pool is: whether it is well and why not, its workers, queue, sessions and rates.

    Parameters
    ----------
    watch
        Again every two seconds, until Ctrl-C.
    """
    from millpond.cli.remote.status_screen import screen

    async def asked(client: Any) -> None:
        while True:
            seen = await client.get("statistics")
            history = await client.get("history", seconds=60, fields="endings.ok,endings.failed,latency,wait")
            alerts = await client.get("alerts")
            if server.as_json:
                say_json({"statistics": seen, "last_minute": history, "firing": alerts["firing"]})
            else:
                if watch and sys.stdout.isatty():
                    print("\x1b[2J\x1b[H", end="")
                say(screen(seen, history, alerts["firing"]))
            if not watch:
                return
            await asyncio.sleep(2)

    ask(server, asked)


def report(
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    since: str = "15m",
    server: Server = DEFAULT,
) -> None:
    """Save what a served pool did lately as one file of HTML: a verdict with its reasons, charts and tables.

    Parameters
    ----------
    output
        The file to write.
    since
        How far back, at most a day: `90s`, `15m`, `1h`.
    """
    found = _SPAN.fullmatch(since)
    if found is None:
        refuse(server, f"--since is a number and its unit, s, m or h, as 15m; not {since!r}")
    seconds = float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]
    if not 1 <= seconds <= LONGEST_REPORT_S:
        refuse(server, f"--since is from 1s to 24h, not {since}")
    with waiting("writing the report"):
        page = ask(server, lambda client: client.report(seconds))
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        refuse(server, f"the report cannot be written: {error}")
    _told(server, {"file": str(output), "bytes": len(page.encode())}, "{file}: {bytes} bytes")


def resize(*, min_workers: Workers = None, max_workers: Workers = None, server: Server = DEFAULT) -> None:
    """Set new bounds of a served pool's size, and wait until the floor is ready.

    Parameters
    ----------
    min_workers
        The fewest workers.
    max_workers
        The most workers.
    """
    if min_workers is None and max_workers is None:
        refuse(server, "give --min-workers, --max-workers, or both")
    asked = {"min_workers": min_workers, "max_workers": max_workers}
    asked = {name: value for name, value in asked.items() if value is not None}
    with waiting("starting workers"):
        found = ask(server, lambda client: client.command("resize", **asked))
    _told(server, found, "{min_workers} to {max_workers} workers, {alive} alive")


def drain(*, server: Server = DEFAULT) -> None:
    """Let a served pool take no more calls, and wait until those there are have ended. It cannot be undone."""
    with waiting("waiting for the calls that are there"):
        found = ask(server, lambda client: client.command("drain"))
    _told(server, found, "The pool takes no more calls, and has none: {state}.")


def reload(*, server: Server = DEFAULT) -> None:
    """Load the code of a served pool's handler anew and replace every worker; sessions move to the new ones."""
    with waiting("replacing workers, one after another"):
        found = ask(server, lambda client: client.command("replace_workers"))
    _told(server, found, "All workers are replaced; {alive} alive.")


def events(*, name: tuple[str, ...] = (), last: int | None = None, server: Server = DEFAULT) -> None:
    """Follow what a served pool says: one event a line, until Ctrl-C. A broken connection is made again.

    Parameters
    ----------
    name
        Only events of this name, or whose names begin with it and a dot: `worker`, `call.exception`, `snapshot`.
        Several may be given. Default: all but those of each call.
    last
        Go on behind the event of this number.
    """

    async def asked(client: Any) -> None:
        following = client.events(*name, last=last)
        while True:
            try:
                async for event in following:
                    _show_event(server, event)
                return
            except Unreachable as error:
                if following.last is None:
                    raise
                warn(f"{error}; trying again")
                await asyncio.sleep(AGAIN_S)
                following = client.events(*name, last=following.last)

    ask(server, asked)


def explain(last: int, server: Server) -> None:
    """Tell what the optimizer of a served pool did and why."""
    asked = {"limit": last, "format": "json" if server.as_json else "text"}
    found = ask(server, lambda client: client.get("journal", **asked))
    if server.as_json:
        say_json(found)
    else:
        say(found["story"].rstrip() or "No decisions yet.")


def _show_event(server: Server, event: dict[str, Any]) -> None:
    if server.as_json:
        say_json(event)
    elif event["event"] != "snapshot" or sys.stdout.isatty():
        from datetime import datetime

        said = {key: value for key, value in event.items() if key not in ("wall", "event")}
        at = datetime.fromtimestamp(event["wall"]).strftime("%H:%M:%S") if "wall" in event else "--------"
        say(f"{at} {event['event']} " + " ".join(f"{key}={json.dumps(value)}" for key, value in said.items()))
    sys.stdout.flush()


def _told(server: Server, found: Any, text: str) -> None:
    if server.as_json:
        say_json(found)
    else:
        say(text.format_map(found))
