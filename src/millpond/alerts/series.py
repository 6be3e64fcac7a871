"""The series that rules look at: every few seconds for an hour, once a minute for a day.

Keeps only metrics that some rule mentions and at most so many series; what finds no room is counted. A series that a
sample lacks has ended, until it comes again: what Prometheus calls stale. Knows samples and times, no rules.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from millpond.alerts.expr.labels import NAME, Labels, labels_of
from millpond.alerts.expr.matchers import Matcher
from millpond.alerts.expr.tree import Node, selectors
from millpond.alerts.expr.windows import Times, Values
from millpond.alerts.ring import Ring
from millpond.metrics.catalogue import Family

NEAR_S = 70 * 60  # an hour, and the lookback of five minutes twice
FAR_S = 26 * 3600  # a day, an hour before it, and more than the lookback
FAR_STEP_MS = 60_000
MOST_SERIES = 1000
EVERYTHING: frozenset[str] = frozenset({"*"})


def names_in(node: Node) -> frozenset[str]:
    """The metrics an expression mentions, or `EVERYTHING` if a selector names none."""
    found: set[str] = set()
    for selector, _ in selectors(node):
        names = {m.value for m in selector.matchers if m.name == NAME and m.op == "="}
        found |= names or EVERYTHING
    return frozenset(found)


@dataclass(slots=True)
class Kept:
    """One series: its labels, its row in both rings, and the last sample it was in, by number."""

    labels: Labels
    row: int
    last: int
    store: SeriesStore

    def at(self, ms: int, lookback_ms: int) -> float | None:
        """The newest value from `ms` back to the lookback, unless the series had ended."""
        return self.store.ring_for(ms - lookback_ms).at(self.row, ms, lookback_ms)

    def between(self, start_ms: int, end_ms: int) -> tuple[Times, Values]:
        """The samples from start to end, both included, all of them in seconds' or all in minutes' steps."""
        return self.store.ring_for(start_ms).between(self.row, start_ms, end_ms)


class SeriesStore:
    """Samples of one pool's metrics. Times are integer milliseconds that never go back."""

    def __init__(self, step_s: float, most: int = MOST_SERIES) -> None:
        self.most = most
        self.dropped = 0  # samples that found no room
        self._wanted: frozenset[str] = frozenset()
        self._near = Ring(math.ceil(NEAR_S / step_s))
        self._far = Ring(math.ceil(FAR_S * 1000 / FAR_STEP_MS))
        self._far_ms = 0  # the moment the minutes' ring has last
        self._kept: dict[tuple[str, Labels], Kept] = {}  # (name, labels as the family has them) -> series
        self._by_name: defaultdict[str, dict[Labels, Kept]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory of the samples."""
        return self._near.nbytes + self._far.nbytes

    def want(self, names: frozenset[str]) -> None:
        """Keep these metrics from the next sample on; `EVERYTHING` is all."""
        self._wanted = names

    def take(self, families: Iterable[Family], at_ms: int) -> None:
        """Keep one sample of every series there is now."""
        rows, values = [], []
        for name, labels, value in self._samples(families):
            kept = self._kept.get((name, labels)) or self._begin(name, labels)
            if kept is None:
                self.dropped += 1
            else:
                kept.last = self._near.taken
                rows.append(kept.row)
                values.append(value)
        is_new_minute = not self._far.taken or at_ms // FAR_STEP_MS != self._far_ms // FAR_STEP_MS
        self._near.write(at_ms, rows, values)
        if is_new_minute:
            self._far.write(at_ms, rows, values)
            self._far_ms = at_ms

    def select(self, matchers: tuple[Matcher, ...]) -> Iterable[Kept]:
        """The series that all matchers accept."""
        name = next((m.value for m in matchers if m.name == NAME and m.op == "="), None)
        groups = self._by_name.values() if name is None else [self._by_name.get(name, {})]
        rest = [m for m in matchers if name is None or m.name != NAME or m.op != "="]
        for group in groups:
            for labels, kept in group.items():
                known = dict(labels)
                if all(matcher.matches(known) for matcher in rest):
                    yield kept

    def ring_for(self, start_ms: int) -> Ring:
        """The ring that reaches back to then, the finer one if it can."""
        near = self._near
        return self._far if near.is_full and start_ms < near.oldest_ms else near

    def _samples(self, families: Iterable[Family]) -> Iterable[tuple[str, Labels, float]]:
        wanted, is_all = self._wanted, self._wanted >= EVERYTHING
        for family in families:
            for suffix, labels, value in family.samples:
                name = family.name + suffix
                if is_all or name in wanted:
                    yield name, labels, value

    def _begin(self, name: str, labels: Labels) -> Kept | None:
        """Make a series, in the row of the one that ended first if there is no other; `None` if all are alive."""
        row = len(self._kept)
        if row >= self.most:
            eldest = min(self._kept.values(), key=lambda kept: kept.last)
            if eldest.last >= self._near.taken - 1:
                return None
            row = eldest.row
            self._end(eldest)
        self._near.make_room(row + 1)
        self._far.make_room(row + 1)
        known = labels_of({NAME: name, **dict(labels)})
        kept = self._kept[name, labels] = self._by_name[name][known] = Kept(known, row, self._near.taken, self)
        return kept

    def _end(self, kept: Kept) -> None:
        self._kept = {key: one for key, one in self._kept.items() if one is not kept}
        del self._by_name[dict(kept.labels)[NAME]][kept.labels]
        self._near.forget(kept.row)
        self._far.forget(kept.row)
