"""Decides what a channel is told and when: alerts in groups, each alert once, changes gathered, not too many at a time.

Decides only; sending is the courier's. Times are seconds of the pool's clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from millpond.alerts.expr.cursor import parse_matchers
from millpond.alerts.states import FIRING, RESOLVED, Alert

GroupKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Route:
    """Which alerts a channel gets, and at what pace; all times in seconds.

    `matchers`: as of a silence, empty for all alerts. `group_by`: alerts with equal labels of these names are told
    together. `wait_s`: how long a new group gathers alerts before the first notification; `interval_s`: the least time
    between two of one group when something changed; `repeat_s`: until what still fires is told again (infinite: never).
    `per_minute`: notifications a minute at most, as many at once; what is held back is told later, together.
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
            raise ValueError("a route waits 0 s or more, repeats after more than 0 s, and tells more than 0 a minute")


@dataclass(frozen=True, slots=True)
class Notification:
    """What one channel is told at once: the alerts of one group that fire, and those that no longer do."""

    receiver: str
    group: GroupKey
    alerts: tuple[Alert, ...]

    @property
    def status(self) -> str:
        """`firing` if any of the alerts is."""
        return FIRING if any(alert.state == FIRING for alert in self.alerts) else RESOLVED


@dataclass(slots=True)
class _Gathering:
    """A group of alerts on its way to one channel."""

    since_s: float
    sent_s: float | None = None
    firing: dict[str, Alert] = field(default_factory=dict)  # fingerprint -> as last seen, silenced ones left out
    told: dict[str, Alert] = field(default_factory=dict)  # what the channel believes to be firing
    ended: dict[str, Alert] = field(default_factory=dict)  # of these, what is over and was not told yet
    # What was over before anything could be told of it, as it fired and as it ended: both are told, in that order.
    missed: dict[str, tuple[Alert, Alert]] = field(default_factory=dict)

    def due_s(self, route: Route) -> float:
        """When to tell, as things are: infinite if there is nothing to tell."""
        has_news = bool(self.ended or self.missed) or any(key not in self.told for key in self.firing)
        if self.sent_s is None:
            return self.since_s + route.wait_s if has_news else math.inf
        if has_news:
            return self.sent_s + route.interval_s
        return self.sent_s + route.repeat_s if self.firing else math.inf


class Desk:
    """What one channel was told and will be."""

    def __init__(self, receiver: str, route: Route, now_s: float) -> None:
        self.receiver = receiver
        self.route = route
        self.held_back = 0  # looks at which something had to wait for the rate's sake
        self._matchers = parse_matchers(route.matchers)
        self._groups: dict[GroupKey, _Gathering] = {}
        self._tokens, self._filled_s = route.per_minute, now_s

    def is_due(self, now_s: float) -> bool:
        """Whether a look would find something to tell, though nothing changed."""
        return any(group.due_s(self.route) <= now_s for group in self._groups.values())

    def finish(self, resolved: Iterable[Alert], now_s: float) -> list[Notification]:
        """The pool closes, and all that fires is among the `resolved`: what is left to tell, without waiting."""
        self._gather((), resolved, now_s)
        twice = [*self._groups.items()] * 2  # that it fired, if nobody knows, and then that it is over
        found = [self._tell(key, group, now_s) for key, group in twice if group.ended or group.missed]
        return [notification for notification in found if notification.alerts]

    def look(self, firing: Iterable[Alert], resolved: Iterable[Alert], now_s: float) -> list[Notification]:
        """What to tell now: `firing` is all that fires, also what is silenced, `resolved` what has ended since."""
        self._gather(firing, resolved, now_s)
        found = []
        for key, group in sorted(self._groups.items(), key=lambda item: item[1].due_s(self.route)):
            if group.due_s(self.route) > now_s:
                break
            if not self._may_tell(now_s):
                self.held_back += 1
                break
            found.append(self._tell(key, group, now_s))
        self._groups = {key: group for key, group in self._groups.items() if group.firing or group.told or group.missed}
        return [notification for notification in found if notification.alerts]

    def _gather(self, firing: Iterable[Alert], resolved: Iterable[Alert], now_s: float) -> None:
        fired = {fingerprint: alert for group in self._groups.values() for fingerprint, alert in group.firing.items()}
        for group in self._groups.values():
            group.firing.clear()
        for alert in self._mine(firing):
            if not alert.silenced_by:
                group = self._groups.setdefault(self._key_of(alert), _Gathering(now_s))
                group.firing[alert.fingerprint] = alert
                group.ended.pop(alert.fingerprint, None)
                group.missed.pop(alert.fingerprint, None)
        for alert in self._mine(resolved):
            known = self._groups.get(self._key_of(alert))
            if known and alert.fingerprint not in known.firing:
                if alert.fingerprint in known.told:
                    known.ended[alert.fingerprint] = alert
                elif alert.fingerprint in fired:
                    known.missed[alert.fingerprint] = fired[alert.fingerprint], alert

    def _mine(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        return (alert for alert in alerts if all(matcher.matches(alert.labels) for matcher in self._matchers))

    def _key_of(self, alert: Alert) -> GroupKey:
        return tuple((name, alert.labels[name]) for name in self.route.group_by if name in alert.labels)

    def _tell(self, key: GroupKey, group: _Gathering, now_s: float) -> Notification:
        ended = group.ended.values() if self.route.send_resolved else ()
        for fingerprint in group.ended:
            group.told.pop(fingerprint, None)
        firing = group.firing | {fingerprint: fired for fingerprint, (fired, _) in group.missed.items()}
        notification = Notification(self.receiver, key, (*firing.values(), *ended))
        group.told |= firing
        group.ended = {fingerprint: over for fingerprint, (_, over) in group.missed.items()}
        group.missed.clear()
        group.sent_s = now_s
        return notification

    def _may_tell(self, now_s: float) -> bool:
        """Take a token; they come back at the route's pace."""
        rate = self.route.per_minute / 60
        self._tokens = min(max(1.0, self.route.per_minute), self._tokens + (now_s - self._filled_s) * rate)
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
