"""A stretch of the program's work, said as events: begun, ended well, or with an exception.

Made by `Bus.span`; several `with` of one bus inside each other know their parent, across tasks too.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.telemetry.bus import Bus

RESERVED = frozenset({"span", "parent", "error"})
_current: ContextVar[Span | None] = ContextVar("millpond_span", default=None)


class Span:
    """To be entered once. What is put into `measurements` meanwhile goes out with its end."""

    __slots__ = ("_began", "_bus", "_is_over", "_metadata", "_name", "_outer", "id", "measurements", "parent")

    def __init__(self, bus: Bus, name: str, metadata: dict[str, Any]) -> None:
        if taken := RESERVED & metadata.keys():
            raise ValueError(f"a span says {', '.join(sorted(taken))} itself; give that metadata another name")
        self.id = 0  # until it is entered
        self.parent: int | None = None  # the number of the span around it, of the same bus
        self.measurements: dict[str, Any] = {}
        self._bus = bus
        self._name = name
        self._metadata = metadata
        self._outer: Span | None = None  # while it is entered: tasks begun here may go on for ever, and begin others
        self._is_over = False
        self._began = 0.0

    def __enter__(self) -> Span:
        if self.id:
            raise RuntimeError("a span is entered once; ask the bus for another")
        self.id = next(self._bus.span_ids)
        self._outer = outer = _current.get()
        while outer is not None and outer._bus is not self._bus:
            outer = outer._outer
        self.parent = None if outer is None else outer.id
        _current.set(self)
        self._emit("start", {})
        self._began = self._bus.clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        measured = {**self.measurements, "seconds": self._bus.clock() - self._began}
        self._leave()
        if kind is None:
            self._emit("stop", measured)
        else:
            self._emit("exception", measured, error=kind.__qualname__)

    def _leave(self) -> None:
        outer, self._outer, self._is_over = self._outer, None, True
        # A generator may be closed when another span is the current one, which then finds this one over.
        while outer is not None and outer._is_over:
            outer = outer._outer
        if _current.get() is self:
            _current.set(outer)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.__exit__(kind)

    def _emit(self, what: str, measurements: dict[str, Any], **more: str) -> None:
        metadata = {**self._metadata, **more, "span": self.id, "parent": self.parent}
        self._bus.execute(f"{self._name}.{what}", measurements, metadata)
