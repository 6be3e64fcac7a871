"""The cookie of a browser that logged in: which token it stands for and until when, signed with the server's key.

A browser sends its cookies to every port of a host, so the name has the port, and the signature covers the name.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from millpond.http.access.caller import Caller
from millpond.http.access.state_folder import SLACK_S
from millpond.http.access.tokens import Token, Tokens

COOKIE_S = 12 * 3600
_TRIED = 4  # cookies of our name in one request; another program on this host may have set some
_VALUE = re.compile(
    r"(?P<token_id>[a-z0-9]{1,32})\.(?P<login>[0-9a-f]{32})\.(?P<expires>[0-9]{1,11})\.(?P<mac>[A-Za-z0-9_-]{43})"
)


def cookie_name(port: int | None, scheme: str) -> str:
    """The name under a server that is bound to a port (`None`: a Unix socket)."""
    name = f"millpond_{port or 0}"
    return f"__Host-{name}" if scheme in ("https", "wss") else name


def set_cookie(name: str, value: str, seconds: int) -> str:
    """The header that gives a browser a cookie; with no value and no seconds the one that takes it away."""
    secure = "; Secure" if name.startswith("__Host-") else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


class Cookies:
    """Makes and reads the values of cookies."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self, name: str, token: Token, now: float) -> tuple[str, int]:
        """A value for the browser of the token's holder, and the seconds it holds: 12 hours, or what the token has."""
        login, expires = secrets.token_hex(16), int(min(now + COOKIE_S, token.caller.expires))
        signed = f"{token.caller.token_id}.{login}.{expires}"
        return f"{signed}.{self._mac(name, signed, token)}", max(0, expires - int(now))

    def caller(self, name: str, header: bytes, tokens: Tokens, now: float) -> Caller | None:
        """Who a Cookie header comes from; `None` if no cookie of the name holds."""
        for value in _values(name, header.decode("latin-1")):
            if (found := self._caller(name, value, tokens, now)) is not None:
                return found
        return None

    def _caller(self, name: str, value: str, tokens: Tokens, now: float) -> Caller | None:
        parts = _VALUE.fullmatch(value)
        token = tokens.by_id.get(parts["token_id"]) if parts else None
        if parts is None or token is None:
            return None
        # Compared in constant time: who could see at which character it fails could find a signature bit by bit.
        if not hmac.compare_digest(self._mac(name, value.rpartition(".")[0], token), parts["mac"]):
            return None
        expires = int(parts["expires"])
        # One that holds for longer than any does was made when the clock was ahead.
        if not now < expires <= now + COOKIE_S + SLACK_S or parts["login"] in tokens.logouts:
            return None
        ends = min(expires, token.caller.expires)
        return replace(token.caller, by="cookie", login=parts["login"], expires=ends) if now < ends else None

    def _mac(self, name: str, signed: str, token: Token) -> str:
        # The token's digest makes the cookies of one that was replaced under the same name (`local`) worthless.
        covered = b"\0".join((name.encode(), signed.encode(), token.digest))
        return base64.urlsafe_b64encode(hmac.digest(self._key, covered, "sha256")).decode().rstrip("=")


def _values(name: str, header: str) -> Iterator[str]:
    """The first few values under one name."""
    begin = f"{name}="
    pairs = (pair.strip(" \t") for pair in header.split(";"))
    return islice((pair.removeprefix(begin) for pair in pairs if pair.startswith(begin)), _TRIED)
