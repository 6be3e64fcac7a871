"""Row 27 as far as events, logs, metrics and alerts repeat things: what callers and handlers say to each other stays
theirs.

One canary in every place a secret may stand; then it is looked for in everything the pool says of itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import millpond
from millpond.alerts.channels.email import EmailChannel
from millpond.alerts.channels.jsonlines import JsonLinesChannel
from millpond.alerts.channels.webhook import webhook
from millpond.alerts.notify import Notification, Route
from millpond.alerts.rules import Group, Rule
from millpond.events import UserEvent
from millpond.http.access.access import Access
from millpond.metrics.prometheus import render
from millpond.telemetry.logging_listener import LoggingListener
from millpond.testing import EventRecorder, FakeEngine, ManualClock
from tests.faults.handlers import Plain
from tests.faults.harness import checked_pool, failure
from tests.faults.served import served

CANARY = "canary-51c0ffee"


class Confidant(Plain):
    """Is told secrets in every way there is."""

    def __init__(self, secret: str = "") -> None:
        self.secret = secret

    def keep(self, *args: Any, session: Any, **kwargs: Any) -> Any:
        session.state["secret"] = [args, kwargs, self.secret]
        return session.state["secret"]

    def environment(self) -> str:
        return os.environ["SECRET"]

    def fail(self, text: str) -> None:
        raise ValueError(text)

    def fail_oddly(self, text: str) -> None:
        raise type(text, (BaseException,), {})(text)

    def unspeakable(self, text: str) -> Any:
        return {text: threading.Lock()}

    def die(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def stream(self, text: str) -> Any:
        yield text
        raise ValueError(text)


async def tell_all(pool: millpond.Pool) -> list[BaseException]:
    """Bring the canary to every place; returns the errors, in which their callers may find it."""
    async with pool.session(CANARY) as session:
        assert CANARY in str(await session.call("keep", CANARY, secret=CANARY))
        assert await pool.call("environment") == CANARY
        with pytest.raises(ValueError, match=CANARY):
            [item async for item in pool.stream("stream", CANARY)]
        calls = [
            lambda: pool.call("fail", CANARY),
            lambda: pool.call("fail_oddly", CANARY),
            lambda: pool.call("unspeakable", CANARY),
            lambda: pool.call("echo", {CANARY: threading.Lock()}),
            lambda: pool.call(CANARY),
            lambda: pool.options(deadline=0.1).call("nap", 5.0, None, CANARY),
            lambda: pool.options(session="not " + CANARY).call("keep"),
            lambda: session.call("die", CANARY),
            lambda: session.call("keep", CANARY),
            lambda: session.call("keep", CANARY),
        ]
        errors = [(await failure(call()))[0] for call in calls]
    task = asyncio.create_task(pool.call("nap", 5.0, None, CANARY))
    await asyncio.sleep(0)
    task.cancel()
    return [*errors, (await failure(task))[0]]


def figures(pool: millpond.Pool) -> Iterator[str]:
    """All that the metrics tell, as objects and as both kinds of page."""
    metrics = pool.metrics
    snapshot = metrics.snapshot()
    yield from map(repr, (snapshot, metrics.summary(), metrics.errors(600), metrics.operation("keep")))
    for slot in metrics.history(600, 60) + metrics.history(600, 1):
        yield f"{slot!r} {slot.operations!r}"
    for accept in ("", "application/openmetrics-text"):
        yield render(snapshot, accept=accept)[1].decode()


class Receiver:
    """A channel that keeps what it was told, as a webhook and as a mail would have it."""

    name = "receiver"

    def __init__(self) -> None:
        self.told: list[str] = []
        self._mail = EmailChannel("localhost", 25, "pool@example.org", ["me@example.org"])

    def deliver(self, notification: Notification) -> None:
        mail = self._mail.message(notification)
        self.told += [json.dumps(webhook(notification)), f"{mail} {mail.get_content()}", repr(notification)]


# Whatever is counted by operation, code, cause or state is an alert, which repeats all labels there are.
WORRIES = tuple(
    Rule(f"Worry_{name}", of=name, by=by, over_s=3600, above=0, summary=f"{{{by or 'pool'}}} {{value}}")
    for name, by in {
        "operation_duration_seconds.p50": "operation",
        "call_errors_total": "code",
        "worker_deaths_total": "cause",
        "sessions_lost_total": (),
        "workers": "state",
    }.items()
)


async def test_27_a_canary_is_in_no_metric_and_in_no_alert(start_method: str, tmp_path: Path) -> None:
    """Snapshot, history and pages have counts; alerts and what channels are told have those counts' labels."""
    how = {"args": (CANARY,), "worker_env": {"SECRET": CANARY}, "start_method": start_method}
    receiver, written = Receiver(), tmp_path / "alerts.jsonl"
    async with checked_pool(Confidant, min_workers=1, max_workers=2, **how) as pool:
        alerts = pool.alerts
        alerts.add_rules(Group("worries", WORRIES))
        for channel in (receiver, JsonLinesChannel(written)):
            alerts.add_channel(channel, Route(wait_s=0.0, per_minute=1e6))
        await tell_all(pool)
        pool.metrics.fold()
        alerts.evaluate(pool.metrics.snapshot().at + 60.0)  # long after the last time: every rule has its turn
        said = [*figures(pool)]
        said += map(repr, (alerts.firing(), alerts.history(), alerts.rules(), alerts.channels(), alerts.figures()))
        said += [family.help + repr(family.samples) for family in alerts.families()]
        fired = {alert.name for alert in alerts.firing()}
    assert fired >= {rule.alert for rule in WORRIES}
    assert sum("unspeakable" in one for one in said) >= 5, "names of operations are told"
    told = [*receiver.told, written.read_text()]
    assert "unspeakable" in told[-1]
    assert any("unspeakable" in one for one in receiver.told)
    assert [one for one in said + told if CANARY in one] == []


async def test_27_a_canary_is_not_in_the_history_that_is_stored(tmp_path: Path) -> None:
    """Neither in the file as it lies there, nor in what is read back from it, where operations are told apart."""
    path, clock = tmp_path / "history.db", ManualClock()
    how = {"engine": FakeEngine(), "clock": clock, "args": (CANARY,), "min_workers": 1, "max_workers": 1}
    async with millpond.Pool(Confidant, history_path=str(path), **how) as pool:
        async with pool.session(CANARY) as session:
            assert CANARY in str(await session.call("keep", CANARY, secret=CANARY))
            for call in (pool.call("fail", CANARY), pool.call(CANARY), pool.call("echo", {CANARY: threading.Lock()})):
                await failure(call)
        await clock.advance(120.0)
        assert pool.metrics.settle(10.0)
        said = list(figures(pool))
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert pool.run_id.encode() in stored
    assert any("OperationSlot(name='keep'" in one for one in said)
    assert [one for one in said if CANARY in one] == []
    assert CANARY.encode() not in stored + path.read_bytes()


async def test_27_a_canary_is_in_no_event_and_in_no_log(start_method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Arguments, results, exception texts, environment, session ids and states: not at DEBUG, in any form."""
    caplog.set_level(logging.DEBUG)
    how = {"args": (CANARY,), "worker_env": {"SECRET": CANARY}, "start_method": start_method}
    async with checked_pool(Confidant, min_workers=1, max_workers=2, **how) as pool:
        with EventRecorder(pool) as recorder:
            for form in ("line", "json"):
                LoggingListener(logging.DEBUG, form=form, show_text=True).attach(pool, form)
            errors = await tell_all(pool)
            said = [repr(event) for event in recorder.events if not isinstance(event, UserEvent)]
        facts = f"{pool.statistics()!r} {pool!r} {pool.telemetry.listeners()!r}"
    assert sum(CANARY in str(error) for error in errors) >= 3, "the callers were told"
    assert {"call.exception", "worker.gone", "session.lost"} <= set(recorder.names())
    assert [one for one in said if CANARY in one] == []
    assert CANARY not in facts
    logged = [f"{record.__dict__} {caplog.handler.format(record)}" for record in caplog.records]
    assert len(logged) > 2 * len(said)
    assert [one for one in logged if CANARY in one] == []
    assert pool.telemetry.removed == {}


async def test_27_a_canary_reaches_over_http_its_own_caller_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What one told is in none of what another may view, nor in what the server logs of requests."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SECRET", CANARY)
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    names = {role: access.state.issue(role, None, None, time.time())[1] for role in ("call", "view")}
    access.tokens.look(time.monotonic() + 10)
    settings = {"codec": "msgpack", "history_path": str(tmp_path / "history.sqlite")}
    pool = millpond.Pool(Confidant, args=(CANARY,), max_workers=2, name="p", **settings)
    async with pool, served(pool, access) as server:
        base = f"http://{server.host}"
        watching = millpond.Client(base, pool="p", token=names["view"])
        async with millpond.Client(base, pool="p", token=names["call"]) as mine, watching:
            events = watching.events("*")
            following = asyncio.create_task(_followed(events))
            errors = await tell_all_by_http(mine)
            assert any(CANARY in str(error) for error in errors)  # who asked is told
            shown = [
                await server.ask("GET", path, f"Authorization: Bearer {names['view']}")
                for path in (
                    *("/metrics", "/v1/pools", "/v1/pools/p/statistics", "/v1/pools/p/history?seconds=60"),
                    *("/v1/pools/p/journal", "/v1/pools/p/alerts", "/", "/healthz", "/readyz"),
                )
            ]
            await asyncio.sleep(1.1)  # a snapshot's time
            following.cancel()
            seen = await asyncio.gather(following, return_exceptions=True)
    for answer in shown:
        assert CANARY.encode() not in answer.body
    assert [answer.status for answer in shown[:6]] == [200] * 6
    assert CANARY not in str(seen)
    own = [record for record in caplog.records if record.name.startswith("millpond")]
    assert not [record for record in own if CANARY in record.getMessage() or CANARY in str(record.exc_text)]


async def _followed(events: Any) -> list[Any]:
    got = []
    try:
        async for event in events:
            got.append(event)
    except asyncio.CancelledError:
        pass
    return got


async def tell_all_by_http(pool: millpond.Client) -> list[BaseException]:
    """As `tell_all`, as far as it can be told to a served pool."""
    async with pool.session(CANARY) as session:
        assert CANARY in str(await session.call("keep", CANARY, secret=CANARY))
        assert await pool.call("environment") == CANARY
        calls = [
            lambda: pool.call("fail", CANARY),
            lambda: pool.call("fail_oddly", CANARY),
            lambda: pool.call("unspeakable", CANARY),
            lambda: pool.call(CANARY),
            lambda: pool.options(deadline=0.1).call("nap", 5.0, None, CANARY),
            lambda: pool.options(session="not " + CANARY).call("keep"),
            lambda: session.call("die", CANARY),
            lambda: session.call("keep", CANARY),
        ]
        return [(await failure(call()))[0] for call in calls]
