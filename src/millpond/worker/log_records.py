"""Log records on their way to the parent: everything the handler logs, with the call it was logged in.

Formats and sends, never raises, never waits and never filters beyond the level the parent asked for. In a child that
an operation forked, records go to stderr instead.
"""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import msgspec

from millpond.wire.frames import LOG, pack
from millpond.worker.stack import call_id_of, shielded

if TYPE_CHECKING:
    from millpond.worker.channel import FrameChannel

MESSAGE_BYTES = 8 * 1024


class _NoLock(nullcontext[None]):
    """The channel needs no other lock, and one that a fork or a signal finds taken would hang the worker."""

    def acquire(self) -> None:
        """Nothing to wait for."""

    def release(self) -> None:
        """Nobody waits."""


class Forwarder(logging.Handler):
    """Sends each record as a LOG frame."""

    def __init__(self, channel: FrameChannel, incarnation: int) -> None:
        super().__init__()
        self._channel = channel
        self._incarnation = incarnation

    def createLock(self) -> None:
        """Have none."""
        self.lock = _NoLock()  # type: ignore[assignment]

    @shielded
    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; what is wrong with it is reported on stderr, as `logging` does."""
        try:
            message = _shortened(self.format(record))
            if self._channel.is_disowned:
                sys.stderr.write(f"{record.levelname}:{record.name}:{message}\n")
                return
            call_id = call_id_of(sys._getframe())
            body = msgspec.msgpack.encode([record.levelno, _shortened(record.name), message, call_id])
            self._channel.post(pack(len(body), LOG, 0, 0, 0, 0, self._incarnation, call_id, 0, 0.0, 0.0) + body)
        except BaseException:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr what is wrong, if even that can be said."""
        with suppress(BaseException):  # its arguments may refuse to be shown, too
            super().handleError(record)


def forward_logging(channel: FrameChannel, incarnation: int, level: int | str | None) -> None:
    """Send what reaches the root logger to the parent; `level` is the root logger's from now on, `None` leaves it."""
    root = logging.getLogger()
    root.addHandler(Forwarder(channel, incarnation))
    if level is not None:
        root.setLevel(level)


def _shortened(text: str) -> str:
    """As UTF-8 no longer than a message may be."""
    if len(text) <= MESSAGE_BYTES // 4 and text.isascii():
        return text
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= MESSAGE_BYTES:
        return encoded.decode()
    return encoded[: MESSAGE_BYTES - 4].decode("utf-8", "ignore") + "…"
