"""`pool.alerts`: samples the pool's metrics, evaluates the rules on them, keeps what happened, and has it told.

Called once a second by whoever adds up the metrics, on the loop's thread, which it holds for a millisecond or two;
channels have threads of their own. Comes after the collector's snapshot.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from millpond.alerts import rulefile
from millpond.alerts.channels.log_channel import LogChannel
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.evaluation import SLACK_MS, Changes, WatchedGroup, due
from millpond.alerts.expr.evaluation import evaluate
from millpond.alerts.expr.labels import Sample
from millpond.alerts.expr.parser import parse
from millpond.alerts.notify import Grouping, Notification, Route
from millpond.alerts.rules import Group, RuleError
from millpond.alerts.sender import Channel, RetryPolicy, Sender, SenderFacts
from millpond.alerts.series import SeriesStore, names_in
from millpond.alerts.silences import Silence, Silences
from millpond.alerts.states import FIRING, PENDING, Alert
from millpond.events import AlertFiring, AlertResolved
from millpond.logger.pool_logger import PoolLogger
from millpond.metrics.catalogue import Family, alerting_families
from millpond.metrics.snapshot import Alerting, ChannelFigures
from millpond.telemetry.bus import Bus

STEP_S = 5.0
HISTORY = 1000  # changes kept
log = PoolLogger("millpond.alerts")
LOG_ROUTE = Route(wait_s=0.0, interval_s=0.0, repeat_s=3600.0)


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule and how it is: `state` is the worst of its alerts', `problem` why it has no answer."""

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
        self._store = SeriesStore(STEP_S)
        self._groups: dict[str, WatchedGroup] = {}
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
        """Take a sample if five seconds have passed, and evaluate one group of those that are due; mostly, do nothing.

        Meant to be called every second. Groups that could not be evaluated for five seconds are so all at once.
        """
        now = self._clock() if now is None else now
        ms = self._epoch_ms + round(now * 1000)
        has_sample_due = self._last_ms is None or ms - self._last_ms >= STEP_S * 1000 - SLACK_MS
        groups = due(self._groups.values(), ms, STEP_S * 1000)
        if not has_sample_due and not groups:
            if any(grouping.is_due(now) for grouping, _ in self._channels.values()):
                self._tell(now)
            return
        began = time.perf_counter()
        if has_sample_due:
            self._last_ms = ms
            self._rounds += 1
            self._is_blind = not self._sample(ms)
        if not self._is_blind:
            self._evaluate_groups(groups, ms)
        self._tell(now)
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

    def _evaluate_groups(self, groups: Iterable[WatchedGroup], ms: int) -> None:
        changes, wall = Changes(), self._wall_clock()
        for group in groups:
            group.evaluate(self._store, ms, wall, changes)
        for alert in changes.fired:
            self._history.append(alert)
            if self._bus and self._bus.has_listener(AlertFiring.name):
                said = (alert.name, alert.fingerprint, alert.severity, alert.summary, alert.value)
                self._bus.execute(AlertFiring(*said))
        self._resolve(changes.resolved)

    def _resolve(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self._history.append(alert)
            self._ended.append(alert)
            if self._bus and self._bus.has_listener(AlertResolved.name):
                seconds = max(0.0, alert.resolved_at - alert.fired_at)
                self._bus.execute(AlertResolved(alert.name, alert.fingerprint, alert.severity, alert.summary, seconds))

    def _tell(self, now: float) -> None:
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
        """The pool closes: what fires is over, and that is told without waiting. Nothing is evaluated after this."""
        wall, now = self._wall_clock(), self._clock()
        rules = (rule for group in self._groups.values() for rule in group.rules)
        self._resolve([alert for rule in rules for alert in rule.over(wall)])
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
            for group in self._groups.values()
            for rule in group.rules
            for case in rule.cases.values()
            if case.state == state
        )

    def history(self, most: int = 100) -> tuple[Alert, ...]:
        """The last changes, the newest first: alerts as they began to fire and as they were resolved."""
        return tuple(itertools.islice(reversed(self._history), most))

    def query(self, expression: str) -> tuple[Sample, ...]:
        """What an expression gives on the samples there are. Raises `ValueError` for one that cannot be read or that
        mentions a metric no rule mentions (only those are kept), `EvaluationError` if it has no answer.
        """
        tree = parse(expression)
        if tree.kind == "range":
            raise ValueError("a range is no answer; use a function such as rate()")
        if missing := sorted(names_in(tree) - self._names()):
            raise ValueError(f"no rule mentions {', '.join(missing)}, so its samples are not kept")
        found = evaluate(tree, self._store, self._last_ms or 0)
        return (Sample((), found),) if isinstance(found, float) else tuple(found)

    # Rules

    def add_rules(self, rules: str | Group | Iterable[Group], *, replace: bool = False) -> None:
        """Evaluate more rules: groups, or the text of a Prometheus rule file.

        All or none: raises `RuleError` for what cannot be used, and for a group whose name is taken unless `replace`.
        """
        groups = rulefile.read(rules) if isinstance(rules, str) else (rules,) if isinstance(rules, Group) else rules
        groups = tuple(groups)
        if not replace and (taken := [group.name for group in groups if group.name in self._groups]):
            raise RuleError(f"there is a group {taken[0]!r} already; remove it first, or replace=True")
        for group in groups:
            self.remove_rules(group.name)
            self._groups[group.name] = WatchedGroup(group)
        self._store.want(self._names())

    def remove_rules(self, group: str) -> bool:
        """Evaluate a group no more; what fires of it is resolved. Whether there was one."""
        watched = self._groups.pop(group, None)
        if watched is None:
            return False
        wall = self._wall_clock()
        self._resolve(alert for rule in watched.rules for alert in rule.over(wall))
        self._store.want(self._names())
        return True

    def rules(self) -> tuple[RuleFacts, ...]:
        """All rules and how they are."""
        return tuple(
            RuleFacts(name, rule.rule.alert, rule.rule.expr, rule.state, len(rule.cases), rule.problem)
            for name, group in self._groups.items()
            for rule in group.rules
        )

    def rule_file(self) -> str:
        """All rules as a file for Prometheus."""
        return rulefile.write(group.group for group in self._groups.values())

    def _names(self) -> frozenset[str]:
        rules = (rule for group in self._groups.values() for rule in group.rules)
        return frozenset().union(*(names_in(rule.rule.tree) for rule in rules))

    # Silences

    def silence(self, matchers: str, seconds: float, *, author: str = "", comment: str = "") -> Silence:
        """Tell nobody of alerts that all of `alertname="X", severity=~"info|warning"` accept, for so many seconds.

        They are still evaluated, kept and listed. The end of an alert that was told is told all the same. Raises
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
        """Tell alerts to one more channel, what fires already too. Raises `ValueError` if its name is taken."""
        if channel.name in self._channels:
            raise ValueError(f"there is a channel {channel.name!r} already")
        grouping = Grouping(channel.name, route or Route(), self._clock())
        self._channels[channel.name] = grouping, Sender(channel, retry_policy)

    def remove_channel(self, name: str) -> bool:
        """Tell a channel nothing more; what waits is still told. Whether there was one."""
        found = self._channels.pop(name, None)
        if found is not None:
            found[1].finish()
        return found is not None

    def channels(self) -> tuple[SenderFacts, ...]:
        """The channels and what became of their notifications."""
        return tuple(sender.facts() for _, sender in self._channels.values())

    def close(self, seconds: float = 2.0) -> None:
        """Give the channels so long, all together, to tell what waits; then drop it. Blocks; from any thread."""
        until = time.monotonic() + seconds
        senders = [sender for _, sender in self._channels.values()]
        for sender in senders:
            sender.finish()
        for sender in senders:
            sender.close(max(0.0, until - time.monotonic()))

    # Itself

    def figures(self) -> Alerting:
        """What the alerting says of itself, as of its last round; from any thread."""
        return self._figures

    def families(self) -> list[Family]:
        """The same as of now, as metrics; exporters have them from the pool's snapshot."""
        return alerting_families(self._pool, self._count())

    def _count(self) -> Alerting:
        return Alerting(
            pending=len(self.pending()),
            firing=len(self.firing()),
            rules_failing=sum(bool(rule.problem) for group in self._groups.values() for rule in group.rules),
            evaluation_s=self._last_s,
            rounds=self._rounds,
            series=len(self._store),
            series_dropped=self._store.dropped,
            channels=tuple(ChannelFigures(one.name, one.sent, one.failed, one.dropped) for one in self.channels()),
        )
