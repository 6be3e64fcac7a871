"""Proxies in front of the server whose X-Forwarded headers are believed, for both ways that a request can take."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


class BehindProxies(ProxyHeadersMiddleware):
    """An application that is told the client and the scheme which a trusted proxy names, in place of the proxy's own.

    `trusted` are addresses and networks, or `*`, as uvicorn takes them.
    """

    def __init__(self, application: Any, trusted: str) -> None:
        super().__init__(application, trusted)
        self._told = ProxyHeadersMiddleware(_nothing, trusted)
        self.claims = getattr(application, "claims", None)  # an application without a short way has none

    def start_call(self, scope: Any, body: bytes, exchange: Any) -> bool:
        """The application's, with the scope changed first."""
        try:
            self._told(scope, None, None).send(None)  # type: ignore[arg-type]  # waits for nothing
        except StopIteration:
            pass
        is_begun: bool = self.app.start_call(scope, body, exchange)  # type: ignore[attr-defined]
        return is_begun


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """An application in whose place only the scope is changed."""
