"""On demand: a worker for each call that finds none, kept until it was idle for so long, and some spares beyond.

So do FaaS platforms and process managers: AWS Lambda and OpenWhisk start an instance for each concurrent request
and keep it idle for minutes; `pm = ondemand` of PHP-FPM ends a worker after `pm.process_idle_timeout`
(www.php.net/manual/en/install.fpm.configuration.php), and `pm = dynamic` keeps `pm.min_spare_servers` idle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.peer import rule
from millpond.optimizer import Mode, Observation, Proposal, Slo


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandKnobs:
    idle_s: float = 60.0
    spares: int = 0


class OnDemand:
    """The core's rule with two of its parameters."""

    name: ClassVar[str] = "on demand"
    interval_s = 3600.0
    quiet_s = 0.0

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int, knobs: OnDemandKnobs | None = None) -> None:
        knobs = knobs or OnDemandKnobs()
        self._rule = rule(low, high, knobs.idle_s, knobs.spares)

    def propose(self, seen: Observation) -> Proposal:
        return Proposal(self._rule, "always the same")
