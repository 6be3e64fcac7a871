"""A handler that says things of its own and tells in which trace it runs; importable by name."""

from __future__ import annotations

import asyncio
from typing import Any

import millpond


class Talker:
    """Plain operations, streams, and hooks that talk."""

    def setup(self) -> None:
        millpond.emit("talker.setup")

    def tell(self, tokens: int) -> bool:
        return millpond.emit("model.tokens", {"tokens": tokens}, model="small", is_cached=False)

    def tell_often(self, times: int) -> list[bool]:
        return [millpond.emit("model.step", {"step": step}) for step in range(times)]

    def tell_wrongly(self, how: str) -> None:
        if how == "name":
            millpond.emit("no name")
        if how == "reserved":
            millpond.emit("call.stop")
        if how == "measurement":
            millpond.emit("model.tokens", {"tokens": "many"})
        if how == "metadata":
            millpond.emit("model.tokens", model=object())

    def trace(self) -> dict[str, str]:
        return millpond.trace_context()

    def trace_items(self, count: int) -> Any:
        for _ in range(count):
            yield millpond.trace_context()

    def size(self, value: bytes) -> tuple[int, dict[str, str]]:
        return len(value), millpond.trace_context()


class AsyncTalker(Talker):
    """The same with async operations, in a worker with an event loop."""

    async def atell(self, tokens: int) -> bool:
        await asyncio.sleep(0)
        return millpond.emit("model.tokens", {"tokens": tokens}, model="large", is_cached=True)

    async def atrace(self) -> dict[str, str]:
        await asyncio.sleep(0)
        return millpond.trace_context()

    async def atrace_items(self, count: int) -> Any:
        for _ in range(count):
            await asyncio.sleep(0)
            yield millpond.trace_context()


def tell_from_function(name: str) -> bool:
    """A plain function may talk, too."""
    return millpond.emit(name, {"of": 1.5})
