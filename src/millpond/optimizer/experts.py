"""The sizing rules that are rehearsed: a few dozen, of four families, that differ in what they keep ready and how long.

A floor may follow the load: the mean m of the calls at once in a window, and a margin of some times its square root,
as the calls at once vary with the square root of their number. A timeout may be learned at a price: a worker idles as
long as is cheapest on the gaps seen if a missing one costs its start and that price, in worker-seconds. Which numbers
are good differs by traffic; the grid was thinned on recorded and generated traffic until fewer would have cost more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millpond.core import SizingRule

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

WINDOWS_S = (60.0, 300.0, 1200.0)
PRICES_S = (1.0, 10.0, 100.0, 400.0, 3200.0)


@dataclass(frozen=True, slots=True)
class Expert:
    """One rule, with what it takes from the record. Its name says all of it."""

    floor: int = 0  # workers at least
    window_s: float = 0.0  # of the load that the floor follows; 0: it follows none
    margin: float = 0.0  # square roots of the load beyond it
    spares: int = 0
    timeout_s: float = 0.0
    price_s: float = 0.0  # of a missing worker, for a learned timeout; 0: it is the one above
    drains: bool = False  # a backlog is worth only what drains it while a worker starts

    @property
    def name(self) -> str:
        """In a few words."""
        if self.window_s:
            words = [f"floor of the load of {self.window_s:g} s and {self.margin:g} of its square root"]
        else:
            words = [f"floor {self.floor}"] * bool(self.floor)
        words += [f"{self.spares} spares"] * bool(self.spares)
        words.append(f"timeouts learned at {self.price_s:g} s" if self.price_s else f"timeout {self.timeout_s:g} s")
        return ", ".join(words) + ", draining" * self.drains


def _following() -> list[Expert]:
    """A floor that follows the load; what is beyond it goes at once, or after a learned time."""
    margins: dict[float, dict[float, tuple[float, ...]]] = {
        0.0: {60.0: (0.25, 0.5, 0.75, 1, 1.5, 2, 3), 300.0: (0.5, 0.75, 1, 1.5, 2, 3), 1200.0: (0.75, 1, 1.5, 2, 3)},
        10.0: {60.0: (0.25, 0.5, 1, 2), 300.0: (0.5, 1, 2)},
        400.0: {60.0: (1, 2), 1200.0: (2,)},
    }
    return [
        Expert(window_s=window_s, margin=margin, price_s=price_s, drains=True)
        for price_s, windows in margins.items()
        for window_s, given in windows.items()
        for margin in given
    ]


def _learned() -> list[Expert]:
    """Workers start on demand, and idle for a learned time; a few are kept, or ready beyond the load."""
    spares = [(k, price_s) for k in range(4) for price_s in PRICES_S if k or price_s < 3200.0]
    floors = [(1, 0, 1), (2, 0, 1), (2, 0, 10), (2, 0, 100), (2, 1, 1), (2, 1, 10), (2, 1, 100)]
    floors += [(3, 0, 1), (3, 0, 100), (3, 1, 10), (3, 1, 100)]
    return [Expert(spares=k, price_s=price_s) for k, price_s in spares] + [
        Expert(floor=floor, spares=k, price_s=float(price_s)) for floor, k, price_s in floors
    ]


def _timed() -> list[Expert]:
    """On demand with one timeout, from the first call on: nothing need be learned."""
    plain = [(1, 60), (2, 0), (3, 0), (4, 0), (3, 60), (4, 60), (4, 240), (3, 240), (3, 1000)]
    return [Expert(timeout_s=60.0, drains=True), Expert(spares=1, timeout_s=20.0, drains=True)] + [
        Expert(spares=k, timeout_s=float(timeout_s)) for k, timeout_s in plain
    ]


def _constant() -> list[Expert]:
    """So many workers, and a few more only for a backlog that lasts."""
    floors = [(n, 0) for n in (2, 3, 4, 5, 6, 8, 10, 13, 16, 20)] + [(4, 2), (6, 2)]
    return [Expert(floor=floor, spares=k, timeout_s=20.0, drains=True) for floor, k in floors]


EXPERTS: tuple[Expert, ...] = (*_following(), *_learned(), *_timed(), *_constant())

_WINDOWS = np.array([WINDOWS_S.index(one.window_s) if one.window_s else len(WINDOWS_S) for one in EXPERTS])
_MARGINS = np.array([one.margin for one in EXPERTS])
_FLOORS = np.array([one.floor for one in EXPERTS])
_PRICES = np.array([PRICES_S.index(one.price_s) if one.price_s else len(PRICES_S) for one in EXPERTS])
_TIMEOUTS_S = np.array([one.timeout_s for one in EXPERTS])
_IS_LEARNED = np.array([one.price_s > 0.0 for one in EXPERTS])
SPARES: Counts = np.array([one.spares for one in EXPERTS])
DRAINS: NDArray[np.bool_] = np.array([one.drains for one in EXPERTS])


def floors(load: Floats) -> Counts:
    """The floor of each expert where there were so many calls at once on average in each of the windows."""
    followed = np.append(load, 0.0)[_WINDOWS]
    found: Counts = np.maximum(np.ceil(followed + _MARGINS * np.sqrt(followed) - 1e-9).astype(np.int64), _FLOORS)
    return found


def timeouts(learned: Floats) -> Floats:
    """(levels, experts): their idle timeouts; `learned[i]` are those of each level at the i-th price."""
    levels = learned.shape[1]
    given = np.broadcast_to(_TIMEOUTS_S, (levels, len(EXPERTS)))
    return np.where(_IS_LEARNED, np.vstack([learned, np.zeros(levels)])[_PRICES].T, given)


def rule(number: int, floor: int, timeouts_s: Floats, most: int, drain_s: float | None = None) -> SizingRule:
    """The sizing rule of an expert with this floor, these timeouts of the levels, and so many workers at most.

    `drain_s`: of those that drain a backlog, in which time; without it, that of a start.
    """
    expert = EXPERTS[number]
    given = timeouts_s.tolist()
    while len(given) > 1 and given[-2] == given[-1]:
        given.pop()
    return SizingRule(
        floor=floor,
        ceiling=most,
        spares=min(expert.spares, most),
        idle_timeouts=tuple(given),
        drain_s=drain_s if expert.drains else 0.0,
    )
