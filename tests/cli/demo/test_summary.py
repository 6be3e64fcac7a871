"""The summary of the demo."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from millpond.cli.demo.record import PoolRecord, Record
from millpond.cli.demo.summary import print_summary
from tests.cli.demo.records import pool_of, record_of


def summed_up(record: Record, width: int) -> str:
    """The summary on a terminal of that width, as one line with runs of blanks as one."""
    console = Console(file=io.StringIO(), width=width)
    print_summary(console, record)
    seen = console.file.getvalue()
    assert max(map(len, seen.splitlines())) <= width
    return " ".join(seen.split())


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_summary_has_every_figure(width):
    """Calls, rate, percentiles, what the kills cost, and what was wrong, of both pools."""
    seen = summed_up(record_of(), width)
    for said in (
        *("digits digits-plain", "calls 1,300 1,300", "answered 1,012 1,012", "refused 266 266", "too late 7 7"),
        *("p50 12.0 ms 12.0 ms", "p99 900 ms 900 ms", "most workers 2 of 2 2 of 2", "workers killed 1 1"),
        *("sessions kept 74 0", "sessions lost 0 37", "wrong answers 0 0", "wrong scores 0 0"),
        "Its sessions: 74 went on from their last answer, 0 lost.",
        "37 lost, told so at their next call; 0 of them are open anew.",
        "the next was ready 526 ms later",
        "Every answer was right and went to the call that asked.",
    ):
        assert said in seen


@pytest.mark.parametrize("mistake", ["wrong", "miscounted"])
def test_a_mistake_is_said_and_sets_the_exit_code(mistake):
    """One wrong answer or score of one pool is enough."""
    record = record_of(pools=(pool_of("digits"), wrong := pool_of("digits-plain")))
    setattr(wrong.tally, mistake, 1)
    assert record.exit_code == 1
    assert "There were wrong answers." in summed_up(record, 80)


def test_calls_that_failed_otherwise_are_named():
    """Nothing that went wrong is left out of the summary."""
    record = record_of(pools=(one := pool_of("digits"), pool_of("digits-plain")))
    one.tally.failures["store_failed"] = 3
    seen = summed_up(record, 80)
    assert "store_failed 3 0" in seen
    assert "some calls failed" in seen


def test_an_end_before_the_traffic_has_a_summary_too():
    """Nothing was served, and nothing was wrong."""
    record = Record(pools=(PoolRecord("digits"),), sessions=150, is_cut_short=True)
    assert record.exit_code == 0
    assert summed_up(record, 80).strip() == "Ended early. Nothing was served."
