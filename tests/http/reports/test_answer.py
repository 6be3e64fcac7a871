"""A report over HTTP: one file that stands alone, with what happened and nothing that a handler or a worker wrote."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

import pytest

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.http.reports.answer import report_of
from millpond.http.reports.span import Span
from millpond.report import html
from millpond.testing import FakeEngine
from tests.contract.handlers import Plain
from tests.contract.sites import failure, until
from tests.http.reports.spans import calm, span_of
from tests.http.test_watching import POOL, a_pool, client
from tests.metrics.pond import Pond, Watched
from tests.report.test_report import HOSTILE, Page


@dataclass
class Changed:
    """An alert as it changed."""

    name: str
    severity: str
    state: str
    summary: str
    fired_at: float
    resolved_at: float


async def test_a_report_is_a_file_of_its_own_with_what_happened():
    """Named after the pool and the time; the worker that went is in it, and what it wrote is not."""
    engine = FakeEngine()
    pool = millpond.Pool(Plain, engine=engine, max_workers=1, restart_backoff=0.01, name="my shop")
    async with pool, client(app({"default": pool}, auth=None)) as asked:
        await failure(pool.call("fail", "a secret of the handler"))
        engine.workers[1].die(9, stderr_tail="a secret of stderr")
        await until(lambda: pool.statistics().is_ready)
        await until(lambda: pool.metrics.snapshot().reading.endings.get("failed"))
        await until(lambda: pool.metrics.snapshot().reading.deaths.get("crashed"))
        answer = await asked.get(f"{POOL}/report?seconds=600")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    name = re.fullmatch(r'attachment; filename="(.*)"', answer.headers["content-disposition"])
    assert name is not None
    assert re.fullmatch(r"millpond-default-\d{4}-\d\d-\d\d-\d{4}\.html", name[1])
    page = Page(answer.text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert {"Pool default", "Workers that went", "crashed", "died (signal 9)"} <= set(page.texts)
    assert "a secret" not in answer.text


@pytest.mark.parametrize(
    ("query", "field"), [("seconds=0", "seconds"), ("seconds=86401", "seconds"), ("end=x", "end"), ("end=nan", "end")]
)
async def test_what_no_span_can_be_is_named(query, field):
    """400, and the field."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        answer = await asked.get(f"{POOL}/report?{query}")
        assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_span_of_which_nothing_is_known_has_a_report_that_says_so():
    """However long ago it was; one that is not over ends now."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        for end in ("0", "1700000000"):
            page = (await asked.get(f"{POOL}/report?end={end}")).text
            assert "There are no figures of this time." in page
            assert "<svg" not in page
        later = await asked.get(f"{POOL}/report?end={time.time() + 1e6:.0f}")
        assert later.status_code == 200


async def test_a_pool_without_metrics_has_no_report():
    """404, and why."""
    async with a_pool(metrics=False) as pool, client(app(pool, auth=None)) as asked:
        answer = await asked.get(f"{POOL}/report")
        assert (answer.status_code, "metrics=False" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize(("role", "status"), [("call", 403), ("view", 200), ("admin", 200)])
async def test_who_may_view_may_have_a_report(role, status):
    """Others are refused."""
    async with a_pool() as pool, client(app(pool, auth=lambda _: Caller("x", role, "token"))) as asked:
        assert (await asked.get(f"{POOL}/report")).status_code == status


async def test_runs_decisions_and_alerts_of_the_span_are_told():
    """With their reasons, in the order in which they came; names that are markup are shown as they are."""
    async with a_pool() as pool:
        pool.optimizer.pause("a reason of ours")
        pool.optimizer.resume()
        decisions = pool.optimizer.journal()
    first, watched = Watched(), Watched(start=1100.0, boot="boot-2")
    first.seconds(10, calm)
    watched.seconds(10, calm)
    span, now = span_of(watched, 200.0, pool=HOSTILE), watched.time.wall()
    changes = (
        Changed(HOSTILE, "warning", "firing", HOSTILE, now - 9.0, 0.0),
        Changed("Slow", "warning", "resolved", "It was slow.", now - 9.0, now - 5.0),
    )
    slots = (*first.collector.history(60), *span.slots)
    text = html(report_of(replace(span, slots=slots, changes=changes, decisions=decisions)))
    page = Page(text.encode().decode())
    assert "script" not in page.tags
    assert {"Runs of the pool", "Alerts that changed", "It was slow."} <= set(page.texts)
    assert ("The optimizer" in page.texts) is bool(decisions)
    assert all(one.reason in page.texts for one in decisions)


def test_a_day_fits_into_a_file_that_can_be_sent():
    """However much happened in it."""

    def each(pond: Pond, second: int) -> None:
        calm(pond, second)
        for ending, code in (("failed", "handler_error"), ("expired", "deadline_exceeded"), ("lost", "worker_died")):
            pond.call(ending=ending, code=code, service=0.001 * (1 + second % 997), n=1 + second % 7)
        pond.facts["queued"] = second % 1009
        pond.facts["wanted"] = 1 + second % 64

    watched = Watched()
    for _ in range(1440):
        watched.time.now += 59.0
        watched.seconds(1, each)
    span = span_of(watched, 86_400.0)
    assert (len(span.slots), span.resolution) == (1440, 60)
    text = html(report_of(span))
    assert len(text) < 400_000
    assert len(Page(text).ids) == 2 * 7


def test_the_pool_is_named_in_a_span_without_steps():
    """As in any other."""
    page = Page(html(report_of(Span("demo", 1.7e9, 1.7e9 + 900.0, 1.7e9 + 900.0))))
    assert "Pool demo" in page.texts
    assert any("2023-11-14 22:13:20 to 22:28:20 UTC, 15 minutes" in text for text in page.texts)
