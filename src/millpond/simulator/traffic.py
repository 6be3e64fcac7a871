"""Traffic: when requests come, how long each takes, and which belong together; as columns of numbers.

An open request comes at its time, whatever became of others. One with a think time comes so long after the answer to
its session's previous request. Where the numbers come from is the business of `trace_files` and `generators`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_SESSION = -1
OPERATION = "work"

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Traffic:
    """Requests in the order in which they come; every array has one entry a request.

    `session` and `operation` are positions in the tuples of names. `think_s` is NaN for requests that come at
    `arrival_s`; for the others that is only where they stand in the order. Raises `ValueError` for what cannot be.
    """

    arrival_s: Floats
    service_s: Floats
    session: Numbers | None = None  # NO_SESSION for a request without one
    operation: Numbers | None = None
    think_s: Floats | None = None
    sessions: tuple[str, ...] = ()
    operations: tuple[str, ...] = (OPERATION,)

    def __post_init__(self) -> None:
        columns = (self.arrival_s, self.service_s, self.session, self.operation, self.think_s)
        if len({len(column) for column in columns if column is not None}) != 1:
            raise ValueError("the columns of the traffic are not of one length")
        if not len(self):
            raise ValueError("the traffic has no requests")
        is_amiss = ~np.isfinite(self.arrival_s) | (self.arrival_s < 0)
        if is_amiss.any():
            raise ValueError(f"request {int(is_amiss.argmax())} comes at {self.arrival_s[is_amiss.argmax()]} s")
        if (self.arrival_s[1:] < self.arrival_s[:-1]).any():
            raise ValueError("the requests are not sorted by arrival")
        is_amiss = ~np.isfinite(self.service_s) | (self.service_s < 0)
        if is_amiss.any():
            raise ValueError(f"request {int(is_amiss.argmax())} takes {self.service_s[is_amiss.argmax()]} s")

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def is_closed(self) -> bool:
        """Whether some requests wait for answers before they come."""
        return self.think_s is not None and bool(np.isfinite(self.think_s).any())

    def session_sizes(self) -> list[int]:
        """How many requests each session has."""
        if self.session is None:
            return []
        sizes: list[int] = np.bincount(self.session[self.session != NO_SESSION], minlength=len(self.sessions)).tolist()
        return sizes

    def followers(self) -> dict[int, tuple[int, float]]:
        """Request -> the one of its session that follows its answer, and how many seconds after it."""
        if self.think_s is None or self.session is None:
            return {}
        found: dict[int, tuple[int, float]] = {}
        last: dict[int, int] = {}  # session -> its request that was met last
        for row, (session, think_s) in enumerate(zip(self.session.tolist(), self.think_s.tolist(), strict=True)):
            if session == NO_SESSION:
                continue
            if think_s >= 0 and session in last:
                found[last[session]] = row, think_s
            last[session] = row
        return found

    def stretched(self, factor: float) -> Traffic:
        """The same in so many times the time: arrivals, service and think times alike, so that the load is the same."""
        if not 0 < factor < np.inf:
            raise ValueError(f"traffic cannot be stretched by {factor}")
        think_s = None if self.think_s is None else self.think_s * factor
        return replace(self, arrival_s=self.arrival_s * factor, service_s=self.service_s * factor, think_s=think_s)

    def multiplied(self, factor: float, seed: int = 0) -> Traffic:
        """So many times the requests in the same time: each is left out, or comes again soon after, at random.

        A copy comes at a random time before the request that follows the original. Sessions are left out or come again
        as a whole, the copies under other names.
        """
        if not 0 < factor < np.inf:
            raise ValueError(f"the rate of traffic cannot be multiplied by {factor}")
        random = np.random.default_rng(seed)
        owner = np.arange(len(self))
        if self.session is not None:
            owner = np.where(self.session == NO_SESSION, len(self.sessions) + owner, self.session)
        first = np.full(int(owner.max()) + 1, len(self) - 1)
        np.minimum.at(first, owner, np.arange(len(self)))
        gap_s = np.append(np.diff(self.arrival_s), 0.0)[first]
        copies = np.floor(factor + random.random(len(first))).astype(np.int64)
        parts = []
        for number in range(int(copies[owner].max())):
            late_s = random.random(len(first)) * gap_s * (number > 0)
            parts.append(self._part(copies[owner] > number, late_s[owner], number))
        if not parts:
            raise ValueError(f"nothing is left of the traffic at {factor} times its rate")
        return _merged(parts)

    def _part(self, is_kept: NDArray[np.bool_], late_s: Floats, number: int) -> Traffic:
        """The requests that are kept, each so much later; a copy's sessions have names of their own."""
        names = tuple(f"{name}~{number}" for name in self.sessions) if number else self.sessions
        order = np.argsort(moved := (self.arrival_s + late_s)[is_kept], kind="stable")

        def column(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[is_kept][order]

        optional = column(self.session), column(self.operation), column(self.think_s)
        return Traffic(moved[order], self.service_s[is_kept][order], *optional, names, self.operations)


def _merged(parts: list[Traffic]) -> Traffic:
    """All of them at once; they have the same columns and operations."""
    order = np.argsort(np.concatenate([part.arrival_s for part in parts]), kind="stable")

    def column(name: str, steps: tuple[int, ...] = ()) -> NDArray[Any] | None:
        columns = [getattr(part, name) for part in parts]
        if columns[0] is None:
            return None
        for values, step in zip(columns, steps, strict=False):
            values[values != NO_SESSION] += step
        return np.concatenate(columns)[order]

    before = np.cumsum([0, *(len(part.sessions) for part in parts)])
    return Traffic(
        np.concatenate([part.arrival_s for part in parts])[order],
        np.concatenate([part.service_s for part in parts])[order],
        column("session", tuple(before)),
        column("operation"),
        column("think_s"),
        tuple(name for part in parts for name in part.sessions),
        parts[0].operations,
    )
