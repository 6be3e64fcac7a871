"""The commands `token` and `login`: who may use the server of this user on this machine.

They change the files of the state folder, and no server need be told: a running one sees it within a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from millpond.cli.exit_codes import FAILED, USAGE
from millpond.cli.parameters import AsJson
from millpond.cli.terminal import exit_with, say, say_json
from millpond.http.access.state_folder import CODE_S, LOCAL, IssuedToken, StateFolder
from millpond.token_file import StateError

token = App(name="token", help="Issue, list and revoke the tokens by which programs use this machine's server.")


@token.command
def new(
    *,
    role: Literal["call", "view", "admin"],
    owner: str | None = None,
    expires: timedelta | None = None,
    as_json: AsJson = False,
) -> None:
    """Issue a token and print it, this once: only its SHA-256 is kept.

    Parameters
    ----------
    role
        What it is for: `call` operations, `view` figures and the page, or `admin`, which is all.
    owner
        Whose sessions and idempotency keys it uses; tokens of one owner share them. Default: its own.
    expires
        After how long it ends, such as `30d` or `12h`. Default: when it is revoked.
    as_json
        Print one line of JSON.
    """
    if expires is not None and expires <= timedelta(0):
        exit_with(f"--expires must be longer than nothing, not {expires}", USAGE, as_json)
    now = time.time()
    with _told(as_json):
        made, secret = StateFolder().issue(role, owner, None if expires is None else now + expires.total_seconds(), now)
    if as_json:
        say_json({**_facts(made), "token": secret})
        return
    ends = f"ends {_text(made.expires)}" if made.expires is not None else "ends when it is revoked"
    print(
        f"Token {made.id} (role {made.role}, owner {made.owner}) {ends}: `millpond token revoke {made.id}`.\n"
        "It is shown this once. Programs send it as `Authorization: Bearer ...`, or find it in MILLPOND_TOKEN.",
        file=sys.stderr,
    )
    print(secret)


@token.command(name="list")
def list_tokens(*, as_json: AsJson = False) -> None:
    """List the tokens that were issued and not revoked, and the server's own (`local`). None of them is shown.

    Parameters
    ----------
    as_json
        Print a JSON array.
    """
    with _told(as_json):
        state = StateFolder()
        found = [_facts(one) for one in state.issued()]
        if state.own_token() is not None:
            found.insert(0, {"id": LOCAL, "role": "admin", "owner": LOCAL, "created": None, "expires": None})
    if as_json:
        say_json(found)
        return
    rows: list[tuple[str, ...]] = [("ID", "ROLE", "OWNER", "CREATED", "EXPIRES")]
    rows += [tuple(str(one[name] or "-") for name in ("id", "role", "owner", "created", "expires")) for one in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@token.command
def revoke(token_id: str, *, as_json: AsJson = False) -> None:
    """End a token and the logins of browsers that came by it. Exits with 1 if there is none of that name.

    Parameters
    ----------
    token_id
        Its ID, as `millpond token list` shows it. `local` is the server's own: its next start makes another.
    as_json
        Print one line of JSON.
    """
    with _told(as_json):
        was_there = StateFolder().revoke(token_id)
    if not was_there:
        exit_with("there is no such token; `millpond token list` shows those there are", FAILED, as_json)
    if as_json:
        say_json({"revoked": token_id})
    else:
        say(f"Revoked {token_id}.")


def login(
    *,
    url: Annotated[str, Parameter(env_var="MILLPOND_URL")] = "http://127.0.0.1:8000",
    token_id: Annotated[str, Parameter(name="--for")] = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Print a link by which one browser logs in to this machine's server, once, within 10 minutes.

    Parameters
    ----------
    url
        Where browsers find the server: http://... or https://...
    token_id
        The ID of the token whose role the browser is to have; its login ends with the token.
    as_json
        Print one line of JSON.
    """
    if not url.startswith(("http://", "https://")):
        exit_with(f"browsers find no server at {url!r}: give --url http://... or https://...", USAGE, as_json)
    now = time.time()
    with _told(as_json):
        state = StateFolder()
        if not state.is_used():
            exit_with(
                f"no server has run with the state folder {state.folder!r}; run this as the user who runs the server",
                FAILED,
                as_json,
            )
        if token_id != LOCAL and not any(one.id == token_id and _holds(one, now) for one in state.issued()):
            exit_with("there is no such token; `millpond token list` shows those there are", FAILED, as_json)
        link = f"{url.rstrip('/')}/login#{state.new_code(token_id, now)}"
    if as_json:
        say_json({"url": link, "expires": _text(now + CODE_S)})
        return
    print(f"Good once, for {CODE_S / 60:.0f} minutes:", file=sys.stderr)
    print(link)


@contextmanager
def _told(as_json: bool) -> Iterator[None]:
    """Exit with what is wrong."""
    try:
        yield
    except (StateError, ValueError) as error:
        exit_with(str(error), USAGE, as_json)


def _holds(one: IssuedToken, now: float) -> bool:
    return one.expires is None or now < one.expires


def _facts(one: IssuedToken) -> dict[str, Any]:
    """What is told of a token; times in the form of RFC 3339."""
    ends = None if one.expires is None else _text(one.expires)
    return {"id": one.id, "role": one.role, "owner": one.owner, "created": _text(one.created), "expires": ends}


def _text(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
