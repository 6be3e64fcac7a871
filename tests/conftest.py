"""Coroutines as tests, each on a fresh loop; what the loop would only log fails the test."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import signal
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from millpond.logger.delivery import DELIVERY

LIMIT_S = 120

# The same examples in every run, judged by what comes out and not by how long it took. `--hypothesis-profile=search`
# looks for new ones.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("search"), derandomize=True)
settings.load_profile("steady")

# A shell that starts the tests in its background has them ignore Ctrl-C, and so would every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test to its end on a fresh loop, or on that of its fixture `runner`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    unheard: list[dict[str, Any]] = []
    run = pyfuncitem.funcargs["runner"].run if "runner" in pyfuncitem.funcargs else asyncio.run
    run(_attended(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}), unheard))
    assert not unheard, f"the loop had to report: {unheard}"
    return True


def pytest_collection_finish() -> None:
    """What pytest and thousands of imports made is there to the end: no test's collection of garbage walks it again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where `--durations` asks for the slowest tests: how many seconds the tests of each folder took together."""
    if terminalreporter.config.getoption("durations") is None:
        return
    spent: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent["/".join(report.nodeid.split("::")[0].split("/")[:-1])] += report.duration
    terminalreporter.section("seconds by folder")
    for folder, seconds in spent.most_common():
        terminalreporter.line(f"{seconds:8.1f} {folder}")


class SettledLog(pytest.LogCaptureFixture):
    """What was logged until now: what a pool says on its loop is delivered by a thread of its own."""

    @property
    def records(self) -> list[logging.LogRecord]:
        assert DELIVERY.settle(LIMIT_S)
        return super().records

    @property
    def text(self) -> str:
        assert DELIVERY.settle(LIMIT_S)
        return super().text


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """As pytest's own; nothing that was logged is still on its way, neither now nor by an earlier test."""
    assert DELIVERY.settle(LIMIT_S)
    caplog.__class__ = SettledLog
    return caplog


async def _attended(test: Any, unheard: list[dict[str, Any]]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    async with asyncio.timeout(LIMIT_S):
        await test
    gc.collect(1)  # a future whose exception nobody took says so when it goes; the young ones are the test's
