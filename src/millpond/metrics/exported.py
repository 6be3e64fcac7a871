"""Families whose counters never go down, whichever operations are told apart at the moment.

A snapshot names its busiest operations and adds up the others. When one of the others becomes busy it takes its past
out of "(other)", and a counter that falls looks like a restart to Prometheus, which then invents a burst of calls. Here
each call is shown once, under the name its operation had when it ended, and stays there. Comes between the snapshot and
whoever exports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Protocol, runtime_checkable

from millpond.metrics.catalogue import CATALOGUE, Family, Labels, Sample, families
from millpond.metrics.snapshot import OTHER, Snapshot

BY_OPERATION = {row.name for row in CATALOGUE if "operation" in row.labels}
REMEMBERED = 200  # operations whose shown counts are kept after others took their place


@runtime_checkable
class Metrics(Protocol):
    """What can be exported: a collector of metrics."""

    def snapshot(self) -> Snapshot:
        """The pool at this moment."""
        ...


class Metered(Protocol):
    """What has metrics: a pool."""

    @property
    def metrics(self) -> Metrics:
        """Its collector."""
        ...


def metrics_of(pool: Metered | Metrics) -> Metrics:
    """A pool's collector, or the collector itself."""
    return pool if isinstance(pool, Metrics) else pool.metrics


class Exported:
    """The families of one pool, for one reader after another; may be called from any thread."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self.pool = ""  # the pool's name, once it was read
        self._snapshot = snapshot
        self._lock = Lock()
        self._tallies: dict[tuple[str, str, Labels], Tally] = {}  # family, suffix, labels but the operation

    def __call__(self) -> list[Family]:
        """The families of a fresh snapshot."""
        with self._lock:
            told = self._snapshot()
            self.pool, found = told.pool, families(told)
            for family in found:
                if family.name in BY_OPERATION:
                    family.samples[:] = self._steady(family)
            return found

    def _steady(self, family: Family) -> list[Sample]:
        counted = [s for s in family.samples if not _is_quantile(s)]
        groups: dict[tuple[str, str, Labels], dict[str, float]] = {}
        for suffix, labels, value in counted:
            name, rest = _operation(labels)
            groups.setdefault((family.name, suffix, rest), {})[name] = value
        shown = {key: self._tallies.setdefault(key, Tally()).show(group) for key, group in groups.items()}
        return [s if _is_quantile(s) else _replaced(s, family.name, shown) for s in family.samples]


def read_all(pools: Sequence[Exported]) -> list[list[Family]]:
    """The families of several pools. Raises `ValueError` if two of them have one name, and so the same series."""
    found = [pool() for pool in pools]
    names = [pool.pool for pool in pools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two pools are named {twice!r}; give each a name of its own: Pool(..., name=...)")
    return found


class Tally:
    """One counter, told apart by operation: what each name has been shown with."""

    def __init__(self) -> None:
        self._shown: dict[str, float] = {}  # in the order in which names were last seen
        self._seen: dict[str, float] = {}  # what the names of the last time had counted
        self._total = 0.0

    def show(self, counts: dict[str, float]) -> dict[str, float]:
        """What to show for each name; adds up to all that was ever counted, less what is remembered of lost names."""
        total = sum(counts.values())
        left = max(0.0, total - self._total)  # happened since the last time and not given to a name yet
        for name in sorted(counts.keys() - {OTHER}, key=lambda name: name not in self._seen):
            # One that was told apart all the while is known exactly. A newcomer's past may be in `OTHER`: it gets what
            # it has counted, but no more than happened.
            before = self._seen.get(name, self._shown.get(name, 0.0))
            gained = min(max(0.0, counts[name] - before), left)
            left -= gained
            self._shown[name] = self._shown.pop(name, 0.0) + gained
        self._shown[OTHER] = self._shown.pop(OTHER, 0.0) + left
        self._seen, self._total = counts, max(total, self._total)
        self._forget()
        return self._shown

    def _forget(self) -> None:
        for name in list(self._shown)[: max(0, len(self._shown) - REMEMBERED)]:
            del self._shown[name]


def _is_quantile(sample: Sample) -> bool:
    return any(label == "quantile" for label, _ in sample[1])


def _operation(labels: Labels) -> tuple[str, Labels]:
    name = next(value for label, value in labels if label == "operation")
    return name, tuple(pair for pair in labels if pair[0] != "operation")


def _replaced(sample: Sample, family: str, shown: dict[tuple[str, str, Labels], dict[str, float]]) -> Sample:
    suffix, labels, _ = sample
    name, rest = _operation(labels)
    return suffix, labels, shown[family, suffix, rest][name]
