"""Pools as a collector of prometheus_client: text or OpenMetrics, pulled from the snapshot when somebody scrapes.

Needs the extra `prometheus`. Nothing is recorded through that library and nothing is kept in it; a scrape may come from
any thread. Several pools of one program go into one collector, as a metric may be named once a page only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

try:
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError("exporting to Prometheus needs: pip install 'millpond[prometheus]'") from error

from millpond.metrics.catalogue import CATALOGUE, Family, Metered, Metrics, families, metrics_of, read_all
from millpond.metrics.snapshot import Snapshot


class PoolCollector(Collector):
    """A collector for `prometheus_client.CollectorRegistry.register`: the metrics of one pool or several.

    Takes pools, or their collectors of metrics. A pool's name is the label that sets its series apart from another's: a
    scrape raises `ValueError` if two have the same.
    """

    def __init__(self, *pools: Metered | Metrics) -> None:
        self._pools: dict[int, Metrics] = {}  # by their ids
        for pool in pools:
            self.add(pool)

    def add(self, pool: Metered | Metrics) -> None:
        """Show one more pool."""
        metrics = metrics_of(pool)
        self._pools[id(metrics)] = metrics

    def remove(self, pool: Metered | Metrics) -> None:
        """Show a pool no more; one that is not shown is no error."""
        self._pools.pop(id(metrics_of(pool)), None)

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment; the library's word."""
        yield from _metrics(read_all(list(self._pools.values())))

    def describe(self) -> Iterable[Metric]:
        """The names there will be, so that a registry refuses a second collector of them; the library's word."""
        return [_metric(Family(row.name, row.kind, row.unit, row.help)) for row in CATALOGUE]


def render(*snapshots: Snapshot, accept: str = "", more: Iterable[Family] = ()) -> tuple[str, bytes]:
    """Content type and page of some pools' snapshots, in the format that an HTTP request's `Accept` asks for.

    `more` are families that are no pool's, and have other names.
    """
    encode, content_type = choose_encoder(accept)
    return content_type, encode(_Page([families(snapshot) for snapshot in snapshots], list(more)))


class _Page(Collector):
    """What an encoder takes for a registry."""

    def __init__(self, pools: list[list[Family]], more: list[Family]) -> None:
        self._pools = pools
        self._more = more

    def collect(self) -> Iterator[Metric]:
        yield from _metrics(self._pools)
        yield from _metrics([self._more])


def _metrics(pools: list[list[Family]]) -> Iterator[Metric]:
    """One metric a name, with the samples of every pool; all pools have the same names in the same order."""
    for same in zip(*pools, strict=True):
        metric = _metric(same[0])
        for family in same:
            for suffix, labels, value in family.samples:
                metric.add_sample(family.name + suffix, dict(labels), value)
        yield metric


def _metric(family: Family) -> Metric:
    """A metric without samples; the library adds a counter's `_total` by itself."""
    return Metric(family.name.removesuffix("_total"), family.help, family.kind, family.unit)
