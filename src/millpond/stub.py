"""What arrives in a worker to which a pool was sent: a name, and a refusal to be called.

A worker that called its own pool would wait for itself.
"""

from __future__ import annotations

from typing import Any

from millpond.errors import ReentrantCall


class PoolStub:
    """What a pool becomes when it is sent to a worker: every verb raises `ReentrantCall`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("__"):
            raise AttributeError(verb)

        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise ReentrantCall(
                f"pool {self._name!r} was called from one of its own workers; its workers would wait for themselves. "
                "Call from the program that owns the pool, or give the handler a pool of its own"
            )

        return refuse
