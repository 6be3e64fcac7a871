"""What a client may send and how long it may take: the server's limits, their units and defaults.

The table in `docs/serving.md` is printed from here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

KiB, MiB = 1024, 1024 * 1024


def _limit(default: Any, what: str, unit: str, low: float) -> Any:
    return dataclasses.field(default=default, metadata={"what": what, "unit": unit, "low": low})


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of one server. Values below the lowest raise `ValueError`."""

    limit_target: int = _limit(8 * KiB, "a request's target; longer is 414", "bytes", 64)
    limit_header_bytes: int = _limit(32 * KiB, "a request's target and headers; more is 431", "bytes", 1024)
    limit_header_count: int = _limit(100, "headers of one request; more is 431", "", 8)
    limit_body: int = _limit(
        64 * MiB, "a request's body; more is 413, before it is read where it is declared", "bytes", 0
    )
    limit_connections: int | None = _limit(
        None, "open connections; more get 503. None for 10,000, if workers leave as many descriptors", "", 1
    )
    timeout_headers: float = _limit(10.0, "time for all headers, from their first byte; longer is 408", "s", 0.1)
    timeout_stalled: float = _limit(
        10.0, "time in which a body, or the reading of an answer, may be slower than `min_rate`", "s", 0.1
    )
    min_rate: int = _limit(512, "a body slower than that is 408, a slower reader of an answer is cut off", "bytes/s", 0)
    timeout_keep_alive: float = _limit(75.0, "time a connection may be without a request", "s", 0.1)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, low = getattr(self, field.name), field.metadata["low"]
            if value is not None and value < low:
                raise ValueError(f"{field.name} must be {low} or more, not {value!r}")
