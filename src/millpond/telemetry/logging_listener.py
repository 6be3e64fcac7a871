"""The logging listener: events as records of `logging` or structlog, each at a level of its own.

It attaches itself to those events only that its level lets through, so that at INFO a call costs nothing. How an event
is written is in `lines`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any, Literal

from millpond.events import Event, WorkerGone
from millpond.logger.escaping import escaped
from millpond.logger.pool_logger import deliver, emit_record
from millpond.telemetry.bus import Bus, HasTelemetry, bus_of
from millpond.telemetry.lines import as_json, as_line, facts
from millpond.telemetry.listening import check_name

Form = Literal["auto", "line", "json", "structlog"]
Emit = Callable[[int, Event], None]

# An event that is not here is a user's, at DEBUG. So are those that come with each call or session; what becomes of
# alerts is for their own channels to say.
_AT_LEVEL: Mapping[int, Sequence[str]] = {
    ERROR: ["pool.error"],
    WARNING: [
        *("pool.degraded", "pool.stalled", "breaker.state"),
        *(
            "worker.killed",
            "worker.start_failed",
            "worker.gone",
            "worker.unhealthy",
        ),  # gone: INFO if it was meant to go
        *("session.restored", "session.unstored", "session.lost"),
    ],
    INFO: [
        *("pool.open", "pool.ready", "pool.restored", "pool.draining", "pool.closing", "pool.close", "pool.recovery"),
        *(
            "pool.resize",
            "pool.command",
            "worker.ready",
            "worker.promoted",
            "worker.draining",
            "session.moved",
            "session.pinned",
        ),
        *("warming.start", "warming.stop", "optimizer.decision", "optimizer.outcome", "optimizer.state"),
    ],
    DEBUG: [
        *("pool.utilization", "queue.depth", "worker.starting", "worker.warming", "worker.spare", "worker.health"),
        *("worker.checkout", "worker.checkin", "call.refused", "call.start", "call.stop", "call.exception"),
        *("call.retry", "session.open", "session.close", "session.asleep", "session.awake", "warming.command"),
        *("alert.firing", "alert.resolved"),
    ],
}
LEVELS: Mapping[str, int] = {name: level for level, names in _AT_LEVEL.items() for name in names}
RECORD_BYTES = 512  # about how large a structured record is
PLANNED = frozenset({"retired", "recycled"})  # causes by which a worker goes as it should


class LoggingListener:
    """Writes events to the logger named `logger`, from `level` up.

    `form` is `"line"`, `"json"`, `"structlog"`, or `"auto"`: structlog where the program has configured it, else lines.
    `levels` gives names, or what comes before a dot in them, other levels than the usual; no record is above `at_most`.
    `pool` is said with each record, for programs with several. `show_text` lets through the fields that repeat a
    handler's or a store's words. A record of `logging` carries the event as its attribute `event`. Raises `ImportError`
    if structlog is asked for and missing, `TypeError` or `ValueError` for what is no level, name or form.
    """

    def __init__(
        self,
        level: int | str = INFO,
        *,
        logger: str = "millpond.events",
        form: Form = "auto",
        levels: Mapping[str, int | str] | None = None,
        pool: str = "",
        show_text: bool = False,
        at_most: int | str = logging.CRITICAL,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.level = _level(level)
        self._levels = {check_name(name): _level(one) for name, one in (levels or {}).items()}
        self._about = {"pool": pool} if pool else {}
        self._show_text = show_text
        self._at_most = _level(at_most)
        self._wall_clock = wall_clock
        self._logger = logging.getLogger(logger)
        self._emit = self._emitter(form)

    @property
    def events(self) -> list[str] | None:
        """What to attach it to: names whose level is high enough; `None` for all."""
        if self.level <= DEBUG:
            return None
        names = dict.fromkeys([*LEVELS, *self._levels])
        return [name for name in names if self._level_of(name) >= self.level]

    def attach(self, pool: Bus | HasTelemetry, listener_id: str | None = None) -> str:
        """Listen to a pool, under `"logging"` if no id is given, numbered where that is taken; returns the id.

        Raises `ValueError` if the id given is taken.
        """
        bus = bus_of(pool)
        if listener_id is None:
            return bus.attach_beside("logging", self.events, self)
        bus.attach(listener_id, self.events, self)
        return listener_id

    def __call__(self, event: Event) -> None:
        level = self._level_of(event.name)
        if isinstance(event, WorkerGone) and event.cause in PLANNED:
            level = min(level, INFO)
        if level >= self.level:
            self._emit(min(level, self._at_most), event)

    def _level_of(self, name: str) -> int:
        """The user's word for the name or the longest part of it before a dot, or the usual."""
        head = name
        while head:
            if head in self._levels:
                return self._levels[head]
            head = head.rpartition(".")[0]
        return LEVELS.get(name, DEBUG)

    # One for each form

    def _emitter(self, form: Form) -> Emit:
        if form == "structlog" or (form == "auto" and _has_structlog()):
            return self._structlog()
        forms: dict[str, Callable[[int, Event], str]] = {"auto": self._line, "line": self._line, "json": self._json}
        if form not in forms:
            raise ValueError(f"form must be one of auto, line, json and structlog, not {form!r}")
        return self._stdlib(forms[form])

    def _stdlib(self, write: Callable[[int, Event], str]) -> Emit:
        logger = self._logger

        def emit(level: int, event: Event) -> None:
            if logger.isEnabledFor(level):
                emit_record(logger, level, write(level, event), {"event": event})

        return emit

    def _line(self, _level: int, event: Event) -> str:
        return as_line(event.name, {**self._about, **facts(event, self._show_text)})

    def _json(self, level: int, event: Event) -> str:
        at = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="milliseconds")
        head = {"time": at, "level": logging.getLevelName(level).lower(), "event": event.name}
        return as_json({**head, **self._about, **facts(event, self._show_text)})

    def _structlog(self) -> Emit:
        try:
            import structlog
        except ImportError as error:
            raise ImportError('structlog is not installed: pip install "millpond[structlog]"') from error
        logger = structlog.get_logger(self._logger.name)

        def emit(level: int, event: Event) -> None:
            said = {**self._about, **facts(event, self._show_text)}
            message = {escaped(key): _escaped(value) for key, value in said.items()}
            deliver(partial(logger.log, level, event.name, **message), RECORD_BYTES)

        return emit


def _has_structlog() -> bool:
    """Whether the program uses structlog; importing it for the question would cost every program that does not."""
    structlog = sys.modules.get("structlog")
    return structlog is not None and bool(structlog.is_configured())


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, dict):
        return {escaped(key): _escaped(one) for key, one in value.items()}
    return [_escaped(one) for one in value] if isinstance(value, list) else value


def _level(level: int | str) -> int:
    known = logging.getLevelNamesMapping()
    if isinstance(level, str):
        if level.upper() not in known:
            raise ValueError(f"{level!r} is no level; there are {', '.join(known)}")
        return known[level.upper()]
    if not isinstance(level, int) or isinstance(level, bool):
        raise TypeError(f"a level is a number of `logging` or its name, not {level!r}")
    return level
