"""`pool.alerts`: samples the pool's metrics, evaluates the rules on them, keeps what happened, and sends notifications.

Called once a second by whoever adds up the metrics, on the loop's thread, which it holds for a millisecond or two;
channels have threads of their own. Comes after the collector's snapshot.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from millpond.alerts import promql
from millpond.alerts.channels.log_channel import LogChannel
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.notify import Grouping, Notification, Route
from millpond.alerts.rules import Group, RuleError
from millpond.alerts.samples import SampleStore
from millpond.alerts.sender import Channel, RetryPolicy, Sender, SenderFacts
from millpond.alerts.silences import Silence, Silences
from millpond.alerts.states import FIRING, PENDING, Alert, Changes, WatchedRule
from millpond.events import AlertFiring, AlertResolved
from millpond.logger.pool_logger import PoolLogger
from millpond.metrics.catalogue import Family, alerting_families
from millpond.metrics.snapshot import Alerting, ChannelFigures
from millpond.telemetry.bus import Bus

STEP_S = 5.0
SLACK_S = 0.25  # a timer that comes early by so much must not cost a whole round
HISTORY = 1000  # changes kept
log = PoolLogger("millpond.alerts")
LOG_ROUTE = Route(wait_s=0.0, interval_s=0.0, repeat_s=3600.0)


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule and how it is: `expr` is its condition in PromQL, `state` the worst of its alerts', `problem` why it could
    not be evaluated.
    """

    group: str
    alert: str
    expr: str
    state: str
    alerts: int
    problem: str


class Alerts:
    """The alerts of one pool. All methods belong on the loop's thread, but `figures`, and `close`, which blocks."""

    def __init__(
        self,
        families: Callable[[], Iterable[Family]],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        bus: Bus | None = None,
        *,
        pool: str = "pool",
        rules: Iterable[Group] = DEFAULT_GROUPS,
    ) -> None:
        self._families = families
        self._clock = clock
        self._wall_clock = wall_clock
        self._bus = bus
        self._pool = pool
        self._store = SampleStore(STEP_S)
        self._groups: dict[str, Group] = {}
        self._watched: dict[str, list[WatchedRule]] = {}  # by group
        self._channels: dict[str, tuple[Grouping, Sender]] = {}
        self._silences = Silences()
        self._history: deque[Alert] = deque(maxlen=HISTORY)
        self._ended: list[Alert] = []  # resolved since the last look of the groupings
        self._epoch_ms = round((wall_clock() - clock()) * 1000)  # the store's time is Unix time that never jumps
        self._last_ms: int | None = None
        self._rounds = 0
        self._last_s = 0.0  # what the last round took
        self._is_blind = False  # the metrics could not be read last time
        self.add_rules(rules)
        self.add_channel(LogChannel(), LOG_ROUTE)
        self._figures = self._count()

    # Rounds

    def evaluate(self, now: float | None = None) -> None:
        """Take a sample and evaluate all rules if five seconds have passed; mostly, do nothing.

        Meant to be called every second: notifications that were held back are sent in between.
        """
        now = self._clock() if now is None else now
        ms = self._epoch_ms + round(now * 1000)
        if self._last_ms is not None and ms - self._last_ms < (STEP_S - SLACK_S) * 1000:
            if any(grouping.is_due(now) for grouping, _ in self._channels.values()):
                self._notify(now)
            return
        began = time.perf_counter()
        self._last_ms = ms
        self._rounds += 1
        self._is_blind = not self._sample(ms)
        if not self._is_blind:
            self._evaluate_rules(ms)
        self._notify(now)
        self._last_s = time.perf_counter() - began
        self._figures = self._count()

    def _sample(self, ms: int) -> bool:
        """Take a sample; whether there was one. Without it all alerts stay as they are, and the log says so once."""
        try:
            own = self.families()
            names = {family.name for family in own}  # in a snapshot too, but a round old there
            self._store.take([*(family for family in self._families() if family.name not in names), *own], ms)
        except Exception as error:
            if not self._is_blind:
                log.raised(error, "the metrics cannot be read, and alert rules are not evaluated until they can")
            return False
        return True

    def _rules(self) -> Iterator[WatchedRule]:
        return itertools.chain.from_iterable(self._watched.values())

    def _evaluate_rules(self, ms: int) -> None:
        changes, wall = Changes(), self._wall_clock()
        for rule in self._rules():
            rule.evaluate(self._store, ms, wall, changes)
        for alert in changes.fired:
            self._history.append(alert)
            if self._bus and self._bus.has_listener(AlertFiring.name):
                fields = (alert.name, alert.fingerprint, alert.severity, alert.summary, alert.value)
                self._bus.execute(AlertFiring(*fields))
        self._resolve(changes.resolved)

    def _resolve(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self._history.append(alert)
            self._ended.append(alert)
            if self._bus and self._bus.has_listener(AlertResolved.name):
                seconds = max(0.0, alert.resolved_at - alert.fired_at)
                self._bus.execute(AlertResolved(alert.name, alert.fingerprint, alert.severity, alert.summary, seconds))

    def _notify(self, now: float) -> None:
        firing, ended, self._ended = self.firing(), self._ended, []
        for grouping, sender in self._channels.values():
            self._put_all(sender, grouping.look(firing, ended, now))

    def _put_all(self, sender: Sender, notifications: Iterable[Notification]) -> None:
        """One channel whose thread cannot begin keeps the others from nothing."""
        for notification in notifications:
            try:
                sender.put(notification)
            except Exception as error:
                log.raised(error, "alert channel %r cannot be notified now", sender.channel.name)

    def end(self) -> None:
        """The pool closes: what fires is over, which is sent at once. Nothing is evaluated after this."""
        wall, now = self._wall_clock(), self._clock()
        self._resolve([alert for rule in self._rules() for alert in rule.over(wall)])
        ended, self._ended = self._ended, []
        for grouping, sender in self._channels.values():
            self._put_all(sender, grouping.finish(ended, now))
        self._figures = self._count()

    # Alerts

    def firing(self) -> tuple[Alert, ...]:
        """What fires, what is silenced too (`silenced_by`)."""
        return self._in_state(FIRING)

    def pending(self) -> tuple[Alert, ...]:
        """What holds, but not for long enough yet."""
        return self._in_state(PENDING)

    def _in_state(self, state: str) -> tuple[Alert, ...]:
        now = self._clock()
        return tuple(
            case.seen(self._silences.covering(case.labels, now))
            for rule in self._rules()
            for case in rule.cases.values()
            if case.state == state
        )

    def history(self, most: int = 100) -> tuple[Alert, ...]:
        """The last changes, the newest first: alerts as they began to fire and as they were resolved."""
        return tuple(itertools.islice(reversed(self._history), most))

    # Rules

    def add_rules(self, rules: Group | Iterable[Group], *, replace: bool = False) -> None:
        """Evaluate more groups of rules. Raises `RuleError` if a group's name is taken, unless `replace`; then none
        is added.
        """
        groups = (rules,) if isinstance(rules, Group) else tuple(rules)
        if not replace and (taken := [group.name for group in groups if group.name in self._groups]):
            raise RuleError(f"there is a group {taken[0]!r} already; remove it first, or replace=True")
        for group in groups:
            self.remove_rules(group.name)
            self._groups[group.name] = group
            self._watched[group.name] = watched = [WatchedRule(rule) for rule in group.rules]
            self._store.want(name for rule in watched for name in rule.names)

    def remove_rules(self, group: str) -> bool:
        """Evaluate a group no more; what fires of it is resolved. Whether there was one."""
        wall = self._wall_clock()
        self._resolve([alert for rule in self._watched.pop(group, ()) for alert in rule.over(wall)])
        return self._groups.pop(group, None) is not None

    def rules(self) -> tuple[RuleFacts, ...]:
        """All rules and how they are."""
        return tuple(
            RuleFacts(name, one.rule.alert, promql.expression(one.rule), one.state, len(one.cases), one.problem)
            for name, watched in self._watched.items()
            for one in watched
        )

    def rule_file(self) -> str:
        """All rules as a file for a Prometheus."""
        return promql.rule_file(self._groups.values())

    # Silences

    def silence(self, matchers: str, seconds: float, *, author: str = "", comment: str = "") -> Silence:
        """Send no notifications of alerts that all of `alertname="X", severity=~"info|warning"` accept, for `seconds`.

        They are still evaluated, kept and listed. The end of an alert whose beginning was sent is
        sent all the same. Raises
        `ValueError` for what cannot be read and for what would silence everything.
        """
        return self._silences.add(matchers, self._clock(), seconds, author, comment)

    def lift(self, silence_id: str) -> bool:
        """End a silence before its time; whether there was one of that id."""
        return self._silences.lift(silence_id)

    def silences(self) -> tuple[Silence, ...]:
        """The silences that are not over."""
        return self._silences.current(self._clock())

    # Channels

    def add_channel(
        self, channel: Channel, route: Route | None = None, retry_policy: RetryPolicy | None = None
    ) -> None:
        """Send notifications to one more channel, of what fires already too; `ValueError` if its name is taken."""
        if channel.name in self._channels:
            raise ValueError(f"there is a channel {channel.name!r} already")
        grouping = Grouping(channel.name, route or Route(), self._clock())
        self._channels[channel.name] = grouping, Sender(channel, retry_policy)

    def remove_channel(self, name: str) -> bool:
        """Send a channel nothing more; what waits is still sent. Whether there was one."""
        found = self._channels.pop(name, None)
        if found is not None:
            found[1].finish()
        return found is not None

    def channels(self) -> tuple[SenderFacts, ...]:
        """The channels and what became of their notifications."""
        return tuple(sender.facts() for _, sender in self._channels.values())

    def close(self, seconds: float = 2.0) -> None:
        """Give the channels so long, all together, to send what waits; then drop it. Blocks; from any thread."""
        until = time.monotonic() + seconds
        senders = [sender for _, sender in self._channels.values()]
        for sender in senders:
            sender.finish()
        for sender in senders:
            sender.close(max(0.0, until - time.monotonic()))

    # Itself

    def figures(self) -> Alerting:
        """The alerting's own figures, as of its last round; from any thread."""
        return self._figures

    def families(self) -> list[Family]:
        """The same as of now, as metrics; exporters have them from the pool's snapshot."""
        return alerting_families(self._pool, self._count())

    def _count(self) -> Alerting:
        return Alerting(
            pending=len(self.pending()),
            firing=len(self.firing()),
            rules_failing=sum(bool(rule.problem) for rule in self._rules()),
            evaluation_s=self._last_s,
            rounds=self._rounds,
            series=len(self._store),
            series_dropped=self._store.dropped,
            channels=tuple(ChannelFigures(one.name, one.sent, one.failed, one.dropped) for one in self.channels()),
        )
