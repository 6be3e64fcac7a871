"""Pools seen through OpenTelemetry's SDK, and what its exporter sends to a collector."""

from __future__ import annotations

import math
from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader

from millpond.metrics.catalogue import CATALOGUE, families
from millpond.metrics.histogram import Histogram
from millpond.metrics.otel import PoolInstruments
from millpond.metrics.otel_histograms import WithHistograms, point
from millpond.metrics.otel_names import ATTRIBUTES, SEMANTIC
from millpond.metrics.snapshot import KINDS, Snapshot
from tests.metrics.export_snapshots import operation, snapshot
from tests.metrics.otlp_receiver import receiving


class Told:
    """A pool's metrics that say what a test wants, and count how often they were asked."""

    def __init__(self, told: Snapshot) -> None:
        self.told, self.asked = told, 0

    def snapshot(self) -> Snapshot:
        self.asked += 1
        return self.told


def points(reader: InMemoryMetricReader) -> dict:
    """What the SDK collects: (instrument, attributes) -> value."""
    return {
        (metric.name, frozenset(point.attributes.items())): point.value
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def value(found: dict, name: str, **labels: str) -> float:
    attributes = {ATTRIBUTES[label]: one for label, one in {"pool": "default", **labels}.items()}
    return found[name, frozenset(attributes.items())]


def collected(*pools: Told) -> dict:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    PoolInstruments(*pools).register(provider)
    found = points(reader)
    provider.shutdown()
    return found


def test_every_metric_has_a_semantic_name():
    """The catalogue and the table of names have the same rows; names are told apart, kinds fit each other."""
    assert [row.name for row in CATALOGUE if row.name not in SEMANTIC] == []
    assert [name for name in SEMANTIC if name not in {row.name for row in CATALOGUE}] == []
    assert len({said.name for said in SEMANTIC.values()}) == len(SEMANTIC)
    for row in CATALOGUE:
        assert (row.kind == "counter") == (SEMANTIC[row.name].instrument == "counter")
        assert (row.kind == "histogram") == (SEMANTIC[row.name].instrument == "histogram")


def test_every_sample_is_observed_under_its_semantic_name():
    """Nothing of the catalogue is left out but buckets, which come as histograms, and quantiles of nothing."""
    told = snapshot(operation("read", {"ok": 5}))
    found = collected(Told(told))
    expected = {
        (SEMANTIC[family.name].name + suffix.replace("_", "."), len(labels), sample)
        for family in families(told)
        for suffix, labels, sample in family.samples
        if suffix != "_bucket" and not math.isnan(sample)
    }
    assert {(name, len(attributes), sample) for (name, attributes), sample in found.items()} == expected


def test_labels_become_attributes():
    """Attributes are namespaced, the one for errors is the conventions' own, and things have whole numbers."""
    found = collected(Told(snapshot(operation("read", {"ok": 5}), queued=17, codes={"worker_died": 3})))
    assert value(found, "millpond.call.pending_requests") == 17
    assert value(found, "millpond.call.errors", code="worker_died") == 3
    assert isinstance(value(found, "millpond.call.errors", code="worker_died"), int)
    assert value(found, "millpond.operation.ended", operation="read", ending="ok") == 5
    quantile = {"millpond.pool.name": "default", "millpond.operation.name": "read", "quantile": 0.5}
    assert found["millpond.operation.duration", frozenset(quantile.items())] == pytest.approx(0.25, rel=0.012)


def test_a_collection_takes_one_snapshot():
    """All instruments of one collection see the same moment; the next collection sees the next."""
    told = Told(snapshot())
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    PoolInstruments(told).register(provider)
    for times in (1, 2, 3):
        reader.get_metrics_data()
        assert told.asked == times
    provider.shutdown()


def test_a_removed_pool_is_not_observed():
    """What a program closed and took out leaves no series behind."""
    first, second = Told(snapshot(pool="first")), Told(snapshot(pool="second"))
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    instruments = PoolInstruments(first, second)
    instruments.register(provider)
    reader.get_metrics_data()
    instruments.remove(first)
    seen = {dict(attributes)["millpond.pool.name"] for _, attributes in points(reader)}
    assert seen == {"second"}
    provider.shutdown()


@pytest.fixture
def send(monkeypatch):
    """Has OpenTelemetry's own exporter send a pool's metrics over HTTP; gives what a collector received."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def sent(told: Told) -> dict:
        with receiving() as receiver:
            exporter = WithHistograms(OTLPMetricExporter(receiver.endpoint), told)
            provider = MeterProvider([PeriodicExportingMetricReader(exporter, math.inf)])
            PoolInstruments(told).register(provider)
            provider.force_flush()
            provider.shutdown()
            return receiver.metrics()

    return sent


def test_a_collector_receives_what_is_observed(send):
    """Instruments arrive with name, unit and value."""
    pending = send(Told(snapshot(queued=17)))["millpond", "millpond.call.pending_requests"]
    assert [point.as_int for point in pending.sum.data_points] == [17]
    assert (pending.unit, pending.description) == ("{call}", "Calls that wait.")


def test_a_collector_receives_whole_histograms(send):
    """Ours arrive bucket for bucket, counted since the pool opened."""
    counted = Histogram.of(array("d", [0.0, 0.001, 0.3, 0.3, 7.0]))
    told = Told(snapshot(totals=dict.fromkeys(KINDS, counted)))
    (point,) = send(told)["millpond", "millpond.call.wait_time"].exponential_histogram.data_points
    assert (point.scale, point.count, point.zero_count, point.sum) == (5, 5, 1, counted.total)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (counted.low, counted.counts.tolist())
    assert (point.time_unix_nano - point.start_time_unix_nano) / 1e9 == pytest.approx(told.told.uptime_s)


def test_an_empty_histogram_travels(send):
    """A pool that has done nothing yet is exported too."""
    found = send(Told(snapshot(totals=dict.fromkeys(KINDS, Histogram()))))
    (point,) = found["millpond", "millpond.call.wait_time"].exponential_histogram.data_points
    assert (point.count, list(point.positive.bucket_counts), point.min, point.max) == (0, [], 0.0, 0.0)


@given(st.lists(st.integers(-960, 960), min_size=1))
def test_the_buckets_sent_hold_the_values(buckets):
    """Read as OpenTelemetry defines them: bucket i holds what lies between 2**(i/32) and 2**((i+1)/32)."""
    values = [2.0 ** ((bucket + 0.5) / 32) for bucket in buckets]
    sent = point(snapshot(totals=dict.fromkeys(KINDS, Histogram.of(array("d", values)))), "wait")
    found = {sent.positive.offset + at: count for at, count in enumerate(sent.positive.bucket_counts) if count}
    assert (sent.scale, found) == (5, Counter(buckets))
    assert sent.min < min(values) <= max(values) < sent.max
