"""What the user asks of a pool's size: how long how many of the calls may wait. Part of the vocabulary."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """`share` of the calls start within `wait` seconds or, with `latency`, are answered within that many seconds.

    Raises `TypeError` for what is no number, `ValueError` for one out of range.
    """

    wait: float = 1.0  # seconds from submission until the operation starts
    share: float = 0.99
    latency: float | None = None  # seconds from submission to the answer; given, it is what counts, and not `wait`

    def __post_init__(self) -> None:
        for name, value in (("wait", self.wait), ("share", self.share), ("latency", self.latency)):
            if name == "latency" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"an objective's {name} must be a number, not {value!r}")
            most = 1.0 if name == "share" else math.inf
            if not (0.0 <= value <= most and math.isfinite(value)) or (name != "wait" and not value):
                bounds = "above 0, at most 1" if name == "share" else "seconds, finite and not negative"
                raise ValueError(f"an objective's {name} must be {bounds}, not {value!r}")

    def wait_s(self, service_s: float) -> float:
        """How long a call that takes `service_s` seconds may wait."""
        return self.wait if self.latency is None else max(0.0, self.latency - service_s)
