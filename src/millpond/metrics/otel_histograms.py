"""Whole histograms for OpenTelemetry: put between its periodic reader and an exporter, adds the pools' to each export.

Needs the extra `opentelemetry`, with the SDK. Our histograms have the layout of that project's exponential ones, scale
5, so nothing is converted and nothing recorded; they count from the pool's opening on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

try:
    from opentelemetry.sdk.metrics import export as sdk
    from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError as error:
    raise ImportError("exporting histograms to OpenTelemetry needs: pip install 'millpond[opentelemetry]'") from error

from millpond.logger.escaping import escaped
from millpond.metrics.catalogue import CATALOGUE, Metered, Metrics, metrics_of
from millpond.metrics.histogram import SCALE, Histogram, upper_bound
from millpond.metrics.otel import SCOPE
from millpond.metrics.otel_names import ATTRIBUTES, SEMANTIC
from millpond.metrics.snapshot import Snapshot

NANO = 1_000_000_000


class WithHistograms(MetricExporter):
    """An exporter that adds the histograms of one pool or several to what another exporter is given.

    `PeriodicExportingMetricReader(WithHistograms(OTLPMetricExporter(), pool))`. The values and their number are exact
    to the bucket; `min` and `max` are the bounds of the outermost ones.
    """

    def __init__(self, exporter: MetricExporter, *pools: Metered | Metrics) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._pools = [metrics_of(pool) for pool in pools]

    def export(self, metrics_data: sdk.MetricsData, timeout_millis: float = 10_000, **more: Any) -> MetricExportResult:
        """Export what came, and the histograms of this moment."""
        found = list(metrics_data.resource_metrics) or [sdk.ResourceMetrics(Resource.create(), [], "")]
        found[0] = replace(found[0], scope_metrics=joined(found[0].scope_metrics, list(self._histograms())))
        return self._exporter.export(replace(metrics_data, resource_metrics=found), timeout_millis, **more)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """As the exporter behind does it."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **more: Any) -> None:
        """As the exporter behind does it."""
        self._exporter.shutdown(timeout_millis, **more)

    def _histograms(self) -> Iterator[sdk.Metric]:
        snapshots = [pool.snapshot() for pool in self._pools]
        for row in CATALOGUE:
            if row.kind == "histogram":
                semantic = SEMANTIC[row.name]
                points = [point(snapshot, row.distribution) for snapshot in snapshots]
                data = sdk.ExponentialHistogram(points, AggregationTemporality.CUMULATIVE)
                yield sdk.Metric(semantic.name, row.help, semantic.unit, data)


def joined(scopes: Sequence[sdk.ScopeMetrics], histograms: list[sdk.Metric]) -> list[sdk.ScopeMetrics]:
    """The scopes with these histograms in ours: of two equal scopes an encoder keeps one."""
    ours = next((one for one in scopes if one.scope.name == SCOPE), None)
    whole = ours or sdk.ScopeMetrics(InstrumentationScope(SCOPE), [], "")
    return [*(one for one in scopes if one is not ours), replace(whole, metrics=[*whole.metrics, *histograms])]


def point(snapshot: Snapshot, kind: str) -> sdk.ExponentialHistogramDataPoint:
    """A pool's histogram of some kind, since it opened."""
    counted = snapshot.totals[kind]
    return sdk.ExponentialHistogramDataPoint(
        attributes={ATTRIBUTES["pool"]: escaped(snapshot.pool)},
        start_time_unix_nano=int((snapshot.wall - snapshot.uptime_s) * NANO),
        time_unix_nano=int(snapshot.wall * NANO),
        count=counted.count,
        sum=counted.total,
        scale=SCALE,
        zero_count=counted.zeros,
        positive=sdk.Buckets(counted.low, counted.counts.tolist()),
        negative=sdk.Buckets(0, []),
        flags=0,
        min=lowest(counted),
        max=counted.highest if counted.count else 0.0,
    )


def lowest(counted: Histogram) -> float:
    """The lower bound of the first bucket that holds something, 0 if there is none."""
    return upper_bound(counted.low - 1) if len(counted.counts) and not counted.zeros else 0.0
