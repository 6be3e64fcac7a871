"""The closed table of exported metrics: every name, kind, unit, label and meaning a scrape can show.

Prometheus, OpenTelemetry and the alert rules all read the same families, so that a rule means the same here and there.
Labels come from closed sets and every sample carries `pool`; worker ids, session ids and error texts never become
labels, and operations beyond the busiest share one name. Comes after the snapshot; keeps nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "summary"]
Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]  # suffix, labels, value; the series is called `Family.name` + suffix


@dataclass(frozen=True, slots=True)
class Family:
    """One exported metric with its samples.

    A sample's series is `name + suffix`: counters end in `_total` by name and have the suffix "", histograms have
    `_bucket` (cumulative, label `le`), `_sum` and `_count`, summaries "" (label `quantile`), `_sum` and `_count`.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table. `labels` come after `pool`, which every sample has; `unit` is "" for plain numbers."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
