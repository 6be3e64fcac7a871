"""Row 27 as far as events, logs and metrics repeat things: what callers and handlers say to each other stays theirs.

One canary in every place a secret may stand; then it is looked for in everything the pool says of itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Any

import pytest

import millpond
from millpond.events import UserEvent
from millpond.telemetry.log import LoggingListener
from millpond.testing import EventRecorder
from tests.faults.handlers import Plain
from tests.faults.harness import checked_pool, failure

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
