"""A real Prometheus scrapes a running pool, and finds there what the pool says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, start_http_server

import millpond
from millpond.alerts.rules import Group, Rule
from millpond.metrics.prometheus import PoolCollector
from tests.processes.handlers import Adder
from tests.processes.prometheus_server import LIMIT_S, NEEDED, PAUSE_S, Prometheus, prometheus

pytestmark = NEEDED

CALLS = 300
MOST_SERIES = 500


@contextmanager
def served_by(*pools: millpond.Pool) -> Iterator[int]:
    """The port of a server that shows these pools."""
    registry = CollectorRegistry()
    registry.register(PoolCollector(*pools))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def scraped(directory: Path) -> AsyncIterator[tuple[millpond.Pool, Prometheus]]:
    """A pool of two workers and the Prometheus that scrapes it."""
    async with millpond.Pool(Adder, name="adders", min_workers=2, max_workers=2) as pool:
        with served_by(pool) as port, prometheus(port, directory) as server:
            yield pool, server


async def until(server: Prometheus, is_so: Callable[[], object]) -> None:
    """Wait for Prometheus beside the loop, where the pool lives."""
    await asyncio.to_thread(server.until, is_so)


async def test_a_real_prometheus_sees_what_the_pool_counts(tmp_path):
    """Counts, percentiles and deaths arrive as the pool has them, in a page of bounded length that is wholly taken."""
    async with scraped(tmp_path) as (pool, server):
        await until(server, lambda: server.value('millpond_workers{state="ready"}') == 2)
        await asyncio.gather(*(pool.call("add", n, n) for n in range(CALLS)))
        with pytest.raises(millpond.WorkerDied):
            await pool.call("leave", 3)
        await until(server, lambda: server.value('millpond_worker_deaths_total{cause="crashed"}') == 1)
        await until(server, lambda: server.value("millpond_calls_submitted_total") == CALLS + 1)
        told = pool.statistics()
        for ending, n in told.endings.items():
            assert server.value(f'millpond_calls_total{{pool="adders",ending="{ending}"}}') == n
        assert server.value('millpond_call_errors_total{code="worker_died"}') == 1
        assert server.value('millpond_operation_calls_total{operation="add",ending="ok"}') == CALLS
        assert 0 < server.value("histogram_quantile(0.99, millpond_call_duration_seconds_bucket)") < 64
        assert server.value('millpond_alerts{state="firing"}') == len(pool.alerts.firing())
        assert server.value("millpond_alert_rules_failing") == 0
        assert server.value("count({pool='adders'})") <= MOST_SERIES


async def test_the_pools_rules_fire_in_a_real_prometheus(tmp_path):
    """The rendered file, loaded by the server that scrapes the pool, gives the alert that the pool itself has."""
    served = Rule("Served", of="calls_submitted_total", over_s=600, above=2, summary="{value} calls of {pool}")
    async with millpond.Pool(Adder, name="adders", min_workers=1, max_workers=1) as pool:
        pool.alerts.add_rules(Group("mine", (served,)))
        (tmp_path / "rules.yml").write_text(pool.alerts.rule_file().replace('"interval": "15s"', '"interval": "1s"'))
        with served_by(pool) as port, prometheus(port, tmp_path) as server:
            await until(server, lambda: server.value("millpond_calls_submitted_total") == 0)
            await asyncio.gather(*(pool.call("add", n, n) for n in range(3)))
            async with asyncio.timeout(LIMIT_S):
                while not pool.alerts.firing():
                    await asyncio.sleep(PAUSE_S)
            # A scrape that comes too late on a busy machine takes its alert away, and puts that of the missing figures
            # in its place, until the next.
            seen: list[dict[str, Any]] = []

            def fires() -> bool:
                seen[:] = server.alerts()
                return [one["state"] for one in seen] == ["firing"]

            await until(server, fires)
            (theirs,), (ours,) = seen, pool.alerts.firing()
    assert theirs["labels"].items() >= dict(ours.labels).items()
    assert theirs["annotations"] == dict(ours.annotations) == {"summary": "3 calls of adders"}


async def test_every_metric_is_known_to_prometheus_with_its_kind_and_unit(tmp_path):
    """It asks for OpenMetrics, and takes kind, help and unit from it; nothing of a scrape is left out."""
    async with scraped(tmp_path) as (_, server):
        await until(server, lambda: server.value("up") == 1)
        (known,) = server.get("/api/v1/metadata", metric="millpond_queue_wait_seconds")["millpond_queue_wait_seconds"]
        assert known == {"type": "histogram", "unit": "seconds", "help": "From submission to the first sending."}
        taken = "scrape_samples_post_metric_relabeling"
        await until(server, lambda: server.value(f"scrape_samples_scraped == {taken}"))
        (target,) = server.get("/api/v1/targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        refused = [line for line in server.get("/metrics").splitlines() if "duplicate_timestamp_total" in line]
        assert refused[-1].endswith(" 0")


async def test_two_pools_of_one_program_are_one_target(tmp_path):
    """One page has both, told apart by their names."""
    async with (
        millpond.Pool(Adder, name="one", min_workers=1, max_workers=1) as one,
        millpond.Pool(Adder, name="two", min_workers=2, max_workers=2) as two,
    ):
        with served_by(one, two) as port, prometheus(port, tmp_path) as server:
            wanted = {frozenset({("pool", "one")}): 1, frozenset({("pool", "two")}): 2}
            await until(server, lambda: server.query("sum by (pool) (millpond_workers)") == wanted)
