"""Pages for Prometheus: what its own tools and parsers say of them."""

from __future__ import annotations

import subprocess
from random import Random

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from millpond.metrics.catalogue import CATALOGUE, families
from millpond.metrics.prometheus import PoolCollector, render
from millpond.metrics.snapshot import Snapshot
from tests.metrics.export_snapshots import largest, operation, snapshot
from tests.processes.prometheus_server import NEEDED

OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
HOSTILE = 'a"} 1\nmillpond_workers{pool="x\\'


class Told:
    """A pool's metrics that say what a test wants."""

    def __init__(self, told: Snapshot) -> None:
        self.told = told

    def snapshot(self) -> Snapshot:
        return self.told


class Pool:
    """Something with metrics."""

    def __init__(self, told: Snapshot) -> None:
        self.metrics = Told(told)


def read(parse, page: bytes) -> dict:
    """Samples of a page by name and labels, as a parser of Prometheus's own reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(page.decode())
        for sample in family.samples
    }


def written(told: Snapshot) -> dict:
    return {
        (family.name + suffix, frozenset(labels)): value
        for family in families(told)
        for suffix, labels, value in family.samples
    }


@pytest.mark.parametrize("accept", ["", OPEN])
def test_a_page_says_what_the_catalogue_says(accept):
    """Both formats parse back to the same samples, values included."""
    told = largest(Random(3))
    kind, page = render(told, accept=accept)
    assert read(parse_open if accept else parse_text, page) == pytest.approx(written(told), nan_ok=True)
    assert kind.startswith("application/openmetrics-text" if accept else "text/plain")


def test_names_units_and_kinds_are_said_in_openmetrics():
    """TYPE, UNIT and HELP of every metric are on the page."""
    said = {family.name: family for family in parse_open(render(snapshot(), accept=OPEN)[1].decode())}
    assert said.keys() == {row.name.removesuffix("_total") for row in CATALOGUE}
    for row in CATALOGUE:
        family = said[row.name.removesuffix("_total")]
        assert (family.type, family.unit, family.documentation) == (row.kind, row.unit, row.help)


@NEEDED
def test_promtool_has_nothing_to_say():
    """Prometheus's linter finds the names, units and help of a page good."""
    page = render(largest(Random(4)))[1]
    ended = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_a_hostile_name_stays_a_label():
    """Quotes, backslashes and line ends in an operation's or a pool's name add no line and no label."""
    told = snapshot(operation(HOSTILE), pool=HOSTILE)
    for accept, parse in (("", parse_text), (OPEN, parse_open)):
        page = render(told, accept=accept)[1]
        assert read(parse, page) == pytest.approx(written(told), nan_ok=True)


def test_several_pools_share_a_page():
    """Each metric is named once, with the samples of every pool: a page that names one twice is no valid one."""
    collector = PoolCollector(Pool(snapshot(pool="small", queued=1)))
    large = Told(snapshot(pool="large", queued=9))
    collector.add(large)
    registry = CollectorRegistry()
    registry.register(collector)
    page = generate_latest(registry).decode()
    assert page.count("# TYPE millpond_calls_queued gauge") == 1
    assert 'millpond_calls_queued{pool="small"} 1.0' in page
    assert 'millpond_calls_queued{pool="large"} 9.0' in page
    collector.remove(large)
    assert 'pool="large"' not in generate_latest(registry).decode()


def test_a_pool_without_alerts_shares_a_page():
    """The metrics of the alerting are named once, with the samples of the pool that has one."""
    page = render(snapshot(pool="with"), snapshot(pool="without", alerting=None))[1].decode()
    assert page.count("# TYPE millpond_alerts gauge") == 1
    assert 'millpond_alerts{pool="with",state="firing"} 2.0' in page
    assert 'millpond_alerts{pool="without"' not in page


def test_two_pools_of_one_name_are_refused():
    """Their samples would be one series; the scrape fails and says which name to change."""
    collector = PoolCollector(Pool(snapshot()), Pool(snapshot()))
    with pytest.raises(ValueError, match="'default'"):
        list(collector.collect())


def test_a_registry_refuses_a_second_collector():
    """Two collectors would name each metric twice; the registry is told the names and says so at once."""
    registry = CollectorRegistry()
    registry.register(PoolCollector())
    with pytest.raises(ValueError, match="millpond_"):
        registry.register(PoolCollector())


def test_nothing_is_read_before_a_scrape():
    """Registering asks no pool for a snapshot."""

    class Untouched:
        def snapshot(self) -> Snapshot:
            raise AssertionError("read without a scrape")

    registry = CollectorRegistry()
    registry.register(PoolCollector(Untouched()))
    with pytest.raises(AssertionError):
        generate_latest(registry)
