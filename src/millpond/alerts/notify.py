"""Notification grouping: which alerts a channel gets and when, in groups, each alert once, not too many at a time.

Decides only; `sender` sends. Times are seconds of the pool's clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from millpond.alerts.silences import parse_matchers
from millpond.alerts.states import FIRING, RESOLVED, Alert

GroupKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Route:
    """Which alerts a channel gets, and at what pace; all times in seconds.

    `matchers`: as of a silence, empty for all alerts. `group_by`: alerts with equal labels of these names share
    a notification. `wait_s`: how long a new group gathers alerts before the first notification; `interval_s`: the least
    time between two of one group when something changed; `repeat_s`: until a reminder of what still fires (inf: never).
    `per_minute`: notifications a minute at most, as many at once; what is held back goes out later, together.
    """

    matchers: str = ""
    group_by: tuple[str, ...] = ("alertname", "pool")
    wait_s: float = 10.0
    interval_s: float = 60.0
    repeat_s: float = 4 * 3600.0
    per_minute: float = 20.0
    send_resolved: bool = True

    def __post_init__(self) -> None:
        parse_matchers(self.matchers)
        if min(self.wait_s, self.interval_s) < 0 or self.repeat_s <= 0 or self.per_minute <= 0:
            raise ValueError("a route waits 0 s or more, repeats after more than 0 s, and sends more than 0 a minute")


@dataclass(frozen=True, slots=True)
class Notification:
    """One message for one channel: the alerts of one group that fire, and those that no longer do."""

    receiver: str
    group: GroupKey
    alerts: tuple[Alert, ...]

    @property
    def status(self) -> str:
        """`firing` if any of the alerts is."""
        return FIRING if any(alert.state == FIRING for alert in self.alerts) else RESOLVED


@dataclass(slots=True)
class _Group:
    """A group of alerts on its way to one channel."""

    since_s: float
    sent_s: float | None = None
    firing: dict[str, Alert] = field(default_factory=dict)  # fingerprint -> as last seen, silenced ones left out
    notified: dict[str, Alert] = field(default_factory=dict)  # what the channel believes to be firing
    ended: dict[str, Alert] = field(default_factory=dict)  # of these, what is over and was not notified yet
    # What was over before its first notification, as it fired and as it ended: both are notified, in that order.
    missed: dict[str, tuple[Alert, Alert]] = field(default_factory=dict)

    def due_s(self, route: Route) -> float:
        """When the next notification is due, as things are: infinite if there is none."""
        has_news = bool(self.ended or self.missed) or any(key not in self.notified for key in self.firing)
        if self.sent_s is None:
            return self.since_s + route.wait_s if has_news else math.inf
        if has_news:
            return self.sent_s + route.interval_s
        return self.sent_s + route.repeat_s if self.firing else math.inf


class Grouping:
    """The notifications of one channel: what it was sent, and what it is to be sent next."""

    def __init__(self, receiver: str, route: Route, now_s: float) -> None:
        self.receiver = receiver
        self.route = route
        self._matchers = parse_matchers(route.matchers)
        self._groups: dict[GroupKey, _Group] = {}
        self._tokens, self._filled_s = route.per_minute, now_s

    def is_due(self, now_s: float) -> bool:
        """Whether there is a notification to send, though nothing changed."""
        return any(group.due_s(self.route) <= now_s for group in self._groups.values())

    def finish(self, resolved: Iterable[Alert], now_s: float) -> list[Notification]:
        """The pool closes, and all that fires is among the `resolved`: what is left to send, without waiting."""
        self._gather((), resolved, now_s)
        twice = [*self._groups.items()] * 2  # that it fired, if that was not sent, and then that it is over
        found = [self._notify(key, group, now_s) for key, group in twice if group.ended or group.missed]
        return [notification for notification in found if notification.alerts]

    def look(self, firing: Iterable[Alert], resolved: Iterable[Alert], now_s: float) -> list[Notification]:
        """What to send now: `firing` is all that fires, also what is silenced, `resolved` what has ended since."""
        self._gather(firing, resolved, now_s)
        found = []
        for key, group in sorted(self._groups.items(), key=lambda item: item[1].due_s(self.route)):
            if group.due_s(self.route) > now_s or not self._may_send(now_s):
                break
            found.append(self._notify(key, group, now_s))
        self._groups = {
            key: group for key, group in self._groups.items() if group.firing or group.notified or group.missed
        }
        return [notification for notification in found if notification.alerts]

    def _gather(self, firing: Iterable[Alert], resolved: Iterable[Alert], now_s: float) -> None:
        fired = {fingerprint: alert for group in self._groups.values() for fingerprint, alert in group.firing.items()}
        for group in self._groups.values():
            group.firing.clear()
        for alert in self._mine(firing):
            if not alert.silenced_by:
                group = self._groups.setdefault(self._key_of(alert), _Group(now_s))
                group.firing[alert.fingerprint] = alert
                group.ended.pop(alert.fingerprint, None)
                group.missed.pop(alert.fingerprint, None)
        for alert in self._mine(resolved):
            known = self._groups.get(self._key_of(alert))
            if known and alert.fingerprint not in known.firing:
                if alert.fingerprint in known.notified:
                    known.ended[alert.fingerprint] = alert
                elif alert.fingerprint in fired:
                    known.missed[alert.fingerprint] = fired[alert.fingerprint], alert

    def _mine(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        return (alert for alert in alerts if all(matcher.matches(alert.labels) for matcher in self._matchers))

    def _key_of(self, alert: Alert) -> GroupKey:
        return tuple((name, alert.labels[name]) for name in self.route.group_by if name in alert.labels)

    def _notify(self, key: GroupKey, group: _Group, now_s: float) -> Notification:
        ended = group.ended.values() if self.route.send_resolved else ()
        for fingerprint in group.ended:
            group.notified.pop(fingerprint, None)
        firing = group.firing | {fingerprint: fired for fingerprint, (fired, _) in group.missed.items()}
        notification = Notification(self.receiver, key, (*firing.values(), *ended))
        group.notified |= firing
        group.ended = {fingerprint: over for fingerprint, (_, over) in group.missed.items()}
        group.missed.clear()
        group.sent_s = now_s
        return notification

    def _may_send(self, now_s: float) -> bool:
        """Take a token; they come back at the route's pace."""
        rate = self.route.per_minute / 60
        self._tokens = min(max(1.0, self.route.per_minute), self._tokens + (now_s - self._filled_s) * rate)
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
