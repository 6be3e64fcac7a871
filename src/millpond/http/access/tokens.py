"""The tokens that hold at this moment, by their SHA-256: read from the state folder again when a file there changed.

Nobody need tell a running server of a new or a revoked token: it looks twice a second, when a request comes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import inf

from millpond.environment import TOKEN, TOKEN_FILE
from millpond.http.access.caller import Caller
from millpond.http.access.state_folder import ISSUED, LOCAL, LOGOUTS, StateFolder
from millpond.token_file import NAME, StateError, given_token, token_in

LOOK_S = 0.5
LOOK_FOR_S = 0.05  # after the last look, for a token that is not known: it may be a new one
SETTLED_S = 2.0  # a file that was changed less long ago may change again and keep its time of change

logger = logging.getLogger("millpond.http")

Signature = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Token:
    """One that holds until `caller.expires`; `digest` is its SHA-256."""

    caller: Caller
    digest: bytes


class Tokens:
    """All tokens of one server, and the logins that were ended (`logouts`), as they were found at the last look.

    Raises `StateError` when it is made if the token or the state folder cannot be used. If that happens later no token
    holds until it is mended, and `fault` says why.
    """

    def __init__(self, state: StateFolder, environ: Mapping[str, str], wall: Callable[[], float]) -> None:
        self.by_digest: dict[bytes, Token] = {}
        self.by_id: dict[str, Token] = {}
        self.logouts: dict[str, float] = {}
        self.fault = ""
        self.next_look = 0.0  # of time.monotonic
        self._state = state
        self._wall = wall
        given = given_token(environ)
        self._given = given if TOKEN in environ else None
        self._file = "" if TOKEN in environ else environ.get(TOKEN_FILE, "")
        if given is None:
            state.token()
        self._watched = [state.path(name) for name in (NAME, ISSUED, LOGOUTS)]
        self._seen: list[Signature] | None = None
        self._read()

    def look(self, now: float) -> None:
        """Read the files again if one of them changed since the last look."""
        self.next_look = now + LOOK_S
        if self._seen is not None and self._signatures() == self._seen:
            return
        try:
            self._read()
        except (StateError, OSError) as error:
            if not self.fault:
                logger.error("no token is accepted until this is mended: %s", error)
            self.fault, self._seen = str(error), None
            self.by_digest, self.by_id = {}, {}

    def find(self, digest: bytes, now: float) -> Token | None:
        """The token of a digest that was not known at the last look."""
        if now >= self.next_look - LOOK_S + LOOK_FOR_S:
            self.look(now)
        return self.by_digest.get(digest)

    def _read(self) -> None:
        # The signatures come first: a change while the files are read is seen at the next look.
        seen = self._signatures()
        tokens = [
            Token(
                Caller(one.owner, one.role, "token", one.id, expires=inf if one.expires is None else one.expires),
                bytes.fromhex(one.sha256),
            )
            for one in self._state.issued()
        ]
        if (own := self._own()) is not None:
            tokens.append(Token(Caller(LOCAL, "admin", "token", LOCAL), sha256(own.encode()).digest()))
        # One that is being written at this moment is kept.
        ended = self.logouts | self._state.logouts()
        self.logouts = {login: until for login, until in ended.items() if until > self._wall()}
        self.by_digest = {one.digest: one for one in tokens}
        self.by_id = {one.caller.token_id: one for one in tokens}
        self._seen = seen if _are_settled(seen) else None
        self.fault = ""

    def _own(self) -> str | None:
        """The server's own token; `None` if it was revoked."""
        if self._given is not None:
            return self._given
        if not self._file:
            return self._state.own_token()
        return token_in(self._file) if os.path.exists(self._file) else None

    def _signatures(self) -> list[Signature]:
        # The file of MILLPOND_TOKEN_FILE may be a link, which leads elsewhere when the token is changed.
        given = [_signature(self._file, os.stat)] if self._file else []
        return [*given, *(_signature(path, os.lstat) for path in self._watched)]


def _signature(path: str, stat: Callable[[str], os.stat_result]) -> Signature:
    try:
        facts = stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _are_settled(seen: list[Signature]) -> bool:
    return all(one is None or one[-1] / 1e9 < time.time() - SETTLED_S for one in seen)
