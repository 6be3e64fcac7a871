"""What the pool says to `logging`: one line a record, whatever stands in it, and never on a thread that runs a loop.

A logging handler is the program's code: one that waits for the pool would hang the loop for ever, a slow one would
delay every caller. So a record that is made on a loop is given to `delivery`. Comes after everything that has something
to say.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from millpond.logger.delivery import DELIVERY, Job
from millpond.logger.escaping import brief_of, escaped

Place = tuple[str, int, str]  # file, line, function


class PoolLogger:
    """The logger of that name, as the pool's own modules use it. Nothing raised by the program's handlers comes out."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def warning(self, message: str, *args: object) -> None:
        """Say it as a warning."""
        self._emit(logging.WARNING, message, args)

    def error(self, message: str, *args: object) -> None:
        """Say it as an error."""
        self._emit(logging.ERROR, message, args)

    def raised(self, error: BaseException, message: str, *args: object) -> None:
        """Say as an error that something raised: its type and where, but not its text."""
        self._emit(logging.ERROR, f"{message}: %s", (*args, brief_of(error)))

    def _emit(self, level: int, message: str, args: tuple[object, ...]) -> None:
        if self._logger.isEnabledFor(level):
            frame = sys._getframe(2)
            place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            emit_record(self._logger, level, _filled(message, args), None, place)


def emit_record(
    logger: logging.Logger,
    level: int,
    text: str,
    extra: Mapping[str, Any] | None = None,
    place: Place = ("(millpond)", 0, ""),
    spare: int = 0,
) -> bool:
    """Write a record of one line, here or, on a loop's thread, soon; `False` if it found no room (see `deliver`)."""
    line = escaped(text)
    return deliver(partial(_write, logger, level, line, extra, place, time.time()), len(line), spare)


def deliver(job: Job, nbytes: int, spare: int = 0) -> bool:
    """Call log handlers of the program's here or, on a loop's thread, soon; `False` if there was no room.

    `spare`: for how many more there must be room then.
    """
    if asyncio._get_running_loop() is not None:
        return DELIVERY.put(job, nbytes, spare)
    try:
        job()
    except Exception:
        DELIVERY.failed += 1
    return True


def _write(
    logger: logging.Logger, level: int, line: str, extra: Mapping[str, Any] | None, place: Place, at: float
) -> None:
    file, number, function = place
    record = logger.makeRecord(logger.name, level, file, number, "%s", (line,), None, function, extra)
    # When it was said, not when it was delivered.
    record.relativeCreated -= (record.created - at) * 1000
    record.created, record.msecs = at, float(int(at % 1 * 1000))
    logger.handle(record)


def _filled(message: str, args: tuple[object, ...]) -> str:
    try:
        return message % args
    except Exception:  # the `__repr__` of something of the program's
        return message
