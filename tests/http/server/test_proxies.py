"""Who is believed to name a client, on the short way as on the long one."""

from __future__ import annotations

from typing import Any

import pytest

from millpond.http.server.proxies import BehindProxies


class Noting:
    """An application with both ways; notes whom each was told of."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.told.append((scope["client"], scope["scheme"]))

    def claims(self, scope: Any) -> bool:
        return bool(scope["path"] == "/short")

    def start_call(self, scope: Any, body: bytes, _exchange: Any) -> bool:
        self.told.append((scope["client"], scope["scheme"]))
        return body == b"short"


def scope_from(peer: str) -> Any:
    headers = [(b"x-forwarded-for", b"9.9.9.9"), (b"x-forwarded-proto", b"https")]
    return {"type": "http", "client": (peer, 5), "scheme": "http", "headers": headers, "path": "/short"}


@pytest.mark.parametrize(
    ("peer", "client"), [("10.0.0.1", (("9.9.9.9", 0), "https")), ("8.8.8.8", (("8.8.8.8", 5), "http"))]
)
async def test_a_client_is_named_by_trusted_proxies_alone(peer, client):
    """Whichever way its request takes, and also where the short one leaves it to the long one."""
    application = Noting()
    behind = BehindProxies(application, "10.0.0.0/8")
    await behind(scope_from(peer), None, None)
    scope = scope_from(peer)
    assert behind.claims(scope)
    assert behind.start_call(scope, b"short", None)
    scope = scope_from(peer)
    assert not behind.start_call(scope, b"", None)
    await behind(scope, None, None)
    assert application.told == [client] * 4


def test_an_application_without_a_short_way_has_none_behind_a_proxy():
    """So that its requests go the long one."""

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError

    assert BehindProxies(application, "*").claims is None
