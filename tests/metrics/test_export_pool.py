"""A pool's page, after callers that never use a name twice."""

from __future__ import annotations

import asyncio

import millpond
from millpond.alerts.rules import Group, Rule
from millpond.metrics.catalogue import families
from millpond.testing import FakeEngine, ManualClock
from tests.metrics.test_export_catalogue import MOST_SERIES, series, value

DISTINCT = 1000


class Keeper:
    """Fails with a text of its own each time."""

    def keep(self, n: int, *, session) -> None:
        raise ValueError(f"secret {n}")


def named(n: int):
    """A function with a name nobody else has."""

    def job() -> None:
        raise ValueError(f"secret {n}")

    job.__qualname__ = f"job_{n}"
    return job


async def test_the_alerting_is_on_the_pools_page():
    """What fires, and what became of notifications: a second after it was so, for pools that have alerts."""
    clock = ManualClock()
    settings = {"engine": FakeEngine(), "clock": clock, "min_workers": 1, "max_workers": 1}
    rule = Group("mine", (Rule("Up", of="pool_uptime_seconds", above=3),))
    async with millpond.Pool(Keeper, **settings) as pool:
        pool.alerts.add_rules(rule)
        await clock.advance(41.0)
        found = series(families(pool.metrics.snapshot()))
        assert value(found, "millpond_alerts", state="firing") == 1
        assert value(found, "millpond_alert_evaluations_total") == 9  # a sample every five seconds
        assert pool.metrics.snapshot().alerting == pool.alerts.figures()
    async with millpond.Pool(Keeper, alerts=False, **settings | {"engine": FakeEngine()}) as pool:
        await clock.advance(1.0)
        assert not any("alert" in name for name, _ in series(families(pool.metrics.snapshot())))


async def test_names_that_are_never_used_twice_add_no_series():
    """Distinct session ids, operations and error texts: the page's length has a bound, and none of them but the first
    operations' names is on it."""
    clock = ManualClock()
    async with millpond.Pool(Keeper, engine=FakeEngine(), clock=clock, min_workers=2, max_workers=2) as pool:
        for n in range(DISTINCT):
            async with pool.session(f"secret-session-{n}") as session:
                told = await asyncio.gather(
                    pool.run(named(n)),
                    pool.options(session=f"secret-session-{n}").call("keep", n),
                    return_exceptions=True,
                )
                assert [str(error) for error in told] == [f"secret {n}"] * 2
                await session.close()
            if n % 50 == 0:
                await clock.advance(1.0)
                assert len(series(families(pool.metrics.snapshot()))) <= MOST_SERIES
        await clock.advance(1.0)
        exported = families(pool.metrics.snapshot())
        found = series(exported)
        assert len(found) <= MOST_SERIES
        assert value(found, "millpond_calls_total", ending="failed") == 2 * DISTINCT
        assert value(found, "millpond_sessions_opened_total") == DISTINCT
        assert "secret" not in str(exported)
