"""Sends notifications to one channel, from a thread of its own, with retries.

Whoever evaluates only puts notifications into a bounded queue. When that is full, those of a group are merged; what
finds no room or no receiver is dropped and counted. Nobody waits for a channel.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from millpond.alerts.notify import Notification
from millpond.alerts.states import RESOLVED
from millpond.core.texts import text_of, words_of
from millpond.logger.escaping import escaped
from millpond.logger.pool_logger import PoolLogger
from millpond.seams import Chance

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


class Sender:
    """One channel, its queue and its thread. The thread begins with the first notification."""

    def __init__(
        self,
        channel: Channel,
        retry_policy: RetryPolicy | None = None,
        chance: Chance | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel = channel
        self._retry_policy = retry_policy or RetryPolicy()
        self._chance = chance or random.Random()
        self._clock = clock
        self._waiting: deque[Notification] = deque()
        self._sent = self._failed = self._dropped = self._retries = 0
        self._last_error = ""
        self._is_closing = False
        self._is_sending = False
        self._changed = threading.Condition()  # held for all of the above, never while delivering
        self._hurry = threading.Event()  # set when nothing is worth waiting for any more
        self._thread: threading.Thread | None = None

    def put(self, notification: Notification) -> None:
        """Have it sent soon; never waits. After `close` it is dropped."""
        with self._changed:
            if self._is_closing:
                self._dropped += 1
                return
            self._waiting.append(notification if len(self._waiting) < MOST_WAITING else self._with_room(notification))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"millpond-{self.channel.name}", daemon=True)
                thread.start()  # raises where no thread can be had: the next notification tries again
                self._thread = thread
            self._changed.notify_all()

    def _with_room(self, notification: Notification) -> Notification:
        """Make room for one more: one of the same group goes into it, else the oldest is dropped."""
        for older in self._waiting:
            if older.group == notification.group:
                self._waiting.remove(older)
                return merged(older, notification)
        self._waiting.popleft()
        self._dropped += 1
        return notification

    def facts(self) -> SenderFacts:
        """What became of the notifications so far."""
        with self._changed:
            waiting = len(self._waiting) + self._is_sending
            counts = (waiting, self._sent, self._failed, self._dropped, self._retries)
            return SenderFacts(self.channel.name, *counts, self._last_error)

    def finish(self) -> None:
        """Take nothing more; the thread ends when what waits was sent."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Take nothing more, and give what waits so long to be sent; then drop it. Blocks, at most about so long."""
        self.finish()
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
            self._hurry.set()
            with self._changed:
                self._dropped += len(self._waiting)
                self._waiting.clear()

    def _run(self) -> None:
        while (notification := self._next()) is not None:
            error = self._delivered(notification)
            with self._changed:
                self._is_sending = False
                self._sent += not error
                self._failed += bool(error)
                self._changed.notify_all()
            if error:
                log.error("alert channel %r: gave up on %s: %s", self.channel.name, notification.status, error)

    def _next(self) -> Notification | None:
        """Wait for a notification; `None` when closing and all were sent."""
        with self._changed:
            while not self._waiting and not self._is_closing:
                self._changed.wait()
            if not self._waiting:
                return None
            self._is_sending = True
            return self._waiting.popleft()

    def _delivered(self, notification: Notification) -> str:
        """Send it, with the retries of the policy; why it was given up, or nothing."""
        until, pause = self._clock() + self._retry_policy.give_up_s, self._retry_policy.first_s
        while True:
            error, is_final = self._attempt(notification)
            if not error or is_final or self._clock() >= until:
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
