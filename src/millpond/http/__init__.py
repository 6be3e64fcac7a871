"""Pools over HTTP: `app` is the ASGI application, `millpond serve` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from millpond.http.access.access import Access as Access
    from millpond.http.access.caller import Caller as Caller
    from millpond.http.application import Application as Application
    from millpond.http.application import app as app

_HOMES = {"app": "application", "Application": "application", "Access": "access.access", "Caller": "access.caller"}
_NEEDED = 'serving over HTTP needs packages that are not installed: pip install "millpond[http]"'

if not TYPE_CHECKING:  # to a type checker the names above are all there are

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'millpond.http' has no attribute {name!r}")
        try:
            return getattr(import_module(f"millpond.http.{_HOMES[name]}"), name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("millpond"):
                raise
            raise ImportError(_NEEDED) from error
