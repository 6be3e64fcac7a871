"""An operation as the core knows it: how long it takes, how its runs end, and its breaker.

One record an operation of the handler, one for each function given to `run` (at most 64, then one for the rest), and
one for each kind of internal call on sessions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.core.records.breaker import Breaker
from millpond.core.records.counters import Samples
from millpond.core.records.service import ServiceTimes

if TYPE_CHECKING:
    from millpond.seams import OperationFacts

UNKNOWN = 1.0  # seconds assumed of an operation never seen: far above the millisecond a window may hold
WEIGHT = 0.2  # of the newest sample in the moving average
OVERHEAD = 1e-5  # seconds a worker spends on a call beside the operation; keeps windows finite
SHORT_S = 2e-4  # of operations that take less, one run in `THINNED` is among the service times: there are thousands
THINNED = 8


@dataclass(slots=True, eq=False)
class Operation:
    """One operation: `number` on the wire, `expected` seconds a call (a moving average).

    `ended` counts runs: answers, deaths and deadlines that passed while running. Calls that never began, and those
    their callers gave up, say nothing about the operation and are not in it.
    """

    name: str
    number: int
    facts: OperationFacts | None
    breaker: Breaker
    is_entered: bool = True  # among those the machine keeps; a function's not before its first call
    expected: float = UNKNOWN
    ended: int = 0
    service: ServiceTimes = field(default_factory=ServiceTimes)
    samples: Samples = field(default_factory=Samples)
    is_stream: bool = field(init=False)
    session_required: bool = field(init=False)

    def __post_init__(self) -> None:
        self.learn_facts(self.facts)

    def learn_facts(self, facts: OperationFacts | None) -> None:
        """What the handler's code says of it now."""
        self.facts = facts
        self.is_stream = facts is not None and facts.kind in ("stream", "async_stream")
        self.session_required = facts is not None and facts.session and not facts.session_optional

    def learn(self, seconds: float) -> None:
        """Take one more measured duration into the moving average, and among the service times."""
        expected = self.expected
        if expected > SHORT_S or not self.ended % THINNED:
            self.service.answered(seconds)
        if expected == UNKNOWN:
            self.expected = seconds + OVERHEAD
        else:
            self.expected = expected + (seconds + OVERHEAD - expected) * WEIGHT

    def __repr__(self) -> str:
        return f"<Operation {self.name}, {self.expected * 1e3:.3f} ms, breaker {self.breaker.state}>"
