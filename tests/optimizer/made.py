"""Observations and histories made of numbers whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millpond.core import SizingRule
from millpond.optimizer.load_history import LoadHistory
from millpond.optimizer.observation import Observation
from millpond.slo import Slo

STEP_S = 15.0


def observed(**changes: Any) -> Observation:
    """A quiet pool of two ready workers; `changes` are fields."""
    given: dict[str, Any] = {
        "now": STEP_S, "busy": 0, "waiting": 0, "ready": 2, "starting": 0, "in_system_s": 0.0, "start_s": 0.2,
        "service_s": 0.1, "rule": SizingRule(), "low": 0, "high": 64,
    }  # fmt: skip
    return Observation(**given | changes)


def calls(count: int, now: float, service_s: float = 0.1, wait_s: float = 0.0) -> dict[str, Any]:
    """The fields of so many calls, even over the last step."""
    came = now - STEP_S + STEP_S * (np.arange(count) + 0.5) / max(count, 1)
    return {
        "arrivals": came,
        "ended": np.stack([came, np.full(count, service_s), np.full(count, wait_s)], axis=1),
        "waits": {"read": np.full(count, wait_s)},
    }


def history_of(steps: int, slo: Slo | None = None, **columns: Sequence[float]) -> LoadHistory:
    """A history of looks 15 s apart; `columns` has fields of `Observation`, `count`, `service`, `wait` and `failed`."""
    history = LoadHistory(slo or Slo())
    history.note(observed(now=0.0))
    for i in range(steps):
        now = (i + 1) * STEP_S
        one = {name: values[i] for name, values in columns.items()}
        count = int(one.pop("count", 0))
        fields = calls(count, now, one.pop("service", 0.1), one.pop("wait", 0.0))
        failed = one.pop("failed", 0)
        history.note(observed(now=now, errors={"handler_error": int(failed)}, **fields, **one))
    return history
