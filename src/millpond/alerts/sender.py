"""Sends notifications to one channel, from a thread of its own, with retries.

Whoever evaluates only puts notifications into a bounded queue. When that is full, those of a group are merged; what
finds no room or no receiver is dropped and counted. Nobody waits for a channel.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Protocol

from millpond.alerts.notify import Notification
from millpond.alerts.states import RESOLVED
from millpond.logger.escaping import escaped
from millpond.logger.pool_logger import PoolLogger
from millpond.queue_thread import QueueThread
from millpond.seams import Chance
from millpond.texts import text_of, words_of

MOST_WAITING = 64  # notifications

log = PoolLogger("millpond.alerts")


class Undeliverable(Exception):
    """A channel's way to say that trying again would not help."""


class Channel(Protocol):
    """Where notifications are sent. `deliver` may take its time; any exception but `Undeliverable` means: try again."""

    @property
    def name(self) -> str:
        """What the channel is called among the pool's."""
        ...

    def deliver(self, notification: Notification) -> None:
        """Send it; called on the sender's thread only."""
        ...


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How a sender tries again: after `first_s`, then twice as long each time up to `longest_s`, all give or take a
    fifth, until `give_up_s` seconds after the first attempt.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    give_up_s: float = 300.0


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What became of a channel's notifications; `last_error` is empty after a success."""

    name: str
    waiting: int
    sent: int
    failed: int
    dropped: int
    retries: int
    last_error: str


class Sender(QueueThread[Notification]):
    """One channel, its queue and its thread. The thread begins with the first notification."""

    def __init__(self, channel: Channel, retry_policy: RetryPolicy | None = None, chance: Chance | None = None) -> None:
        super().__init__(f"millpond-{channel.name}", self._send)
        self.channel = channel
        self._retry_policy = retry_policy or RetryPolicy()
        self._chance = chance or random.Random()
        self._sent = self._failed = self._dropped = self._retries = 0  # under the lock of the queue, as the next
        self._last_error = ""
        self._hurry = threading.Event()  # set when nothing is worth waiting for any more

    def put(self, notification: Notification) -> bool:
        """Have it sent soon; never waits. After `close` it is dropped."""
        with self._changed:
            if self.queued >= MOST_WAITING and not self._is_closing:
                notification = self._with_room(notification)
            is_taken = super().put(notification)
            self._dropped += not is_taken
            return is_taken

    def _with_room(self, notification: Notification) -> Notification:
        """Make room for one more: one of the same group goes into it, else the oldest is dropped."""
        for older in self._queue:
            if older.group == notification.group:
                self._queue.remove(older)
                return merged(older, notification)
        self._queue.popleft()
        self._dropped += 1
        return notification

    def facts(self) -> SenderFacts:
        """What became of the notifications so far."""
        with self._changed:
            counts = (self.waiting, self._sent, self._failed, self._dropped, self._retries)
            return SenderFacts(self.channel.name, *counts, self._last_error)

    def close(self, timeout: float) -> int:
        """Take nothing more, and give what waits so long to be sent; then drop it. Blocks, at most about so long."""
        dropped = super().close(timeout)
        self._hurry.set()
        with self._changed:
            self._dropped += dropped
        return dropped

    def _send(self, batch: list[Notification]) -> None:
        for notification in batch:
            error = self._delivered(notification)
            with self._changed:
                self._sent += not error
                self._failed += bool(error)
            if error:
                log.error("alert channel %r: gave up on %s: %s", self.channel.name, notification.status, error)

    def _delivered(self, notification: Notification) -> str:
        """Send it, with the retries of the policy; why it was given up, or nothing."""
        until, pause = time.monotonic() + self._retry_policy.give_up_s, self._retry_policy.first_s
        while True:
            error, is_final = self._attempt(notification)
            if not error or is_final or time.monotonic() >= until:
                return error
            if self._hurry.wait(pause * (0.8 + 0.4 * self._chance.random())):
                return error
            pause = min(pause * 2, self._retry_policy.longest_s)
            with self._changed:
                self._retries += 1

    def _attempt(self, notification: Notification) -> tuple[str, bool]:
        """What went wrong, or nothing; and whether it is no use to try again."""
        error, is_final = "", False
        try:
            self.channel.deliver(notification)
        except Undeliverable as refusal:
            error, is_final = escaped(words_of(refusal)) or "refused", True
        except BaseException as failure:  # nobody interrupts this thread: whatever it is, it is the channel's
            error = escaped(text_of(failure))
        with self._changed:
            self._last_error = error
        return error, is_final


def merged(older: Notification, newer: Notification) -> Notification:
    """The newer, and what the older says of alerts that are over."""
    known = {alert.fingerprint for alert in newer.alerts}
    over = (alert for alert in older.alerts if alert.state == RESOLVED and alert.fingerprint not in known)
    return Notification(newer.receiver, newer.group, (*newer.alerts, *over))
