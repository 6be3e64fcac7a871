"""What the demo shows: the live view at every size, the plain lines, and the summary."""

from __future__ import annotations

import io
from collections import Counter, deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from examples.demo import screen
from examples.demo.reader import ColdStart
from examples.demo.story import Record, Row, Tally
from millpond.events import WorkerGone

NOTES = [f"{second:5.1f} s  something happened that takes a long sentence to tell, {second}" for second in range(9)]
TIMES = SimpleNamespace(p50=0.00086, p95=0.0042, p99=0.0121)
MINUTE: Any = SimpleNamespace(
    health=SimpleNamespace(score=95.4, state="slow", reason="12 % of the calls missed their deadline"),
    windows={60: SimpleNamespace(distributions={"latency": TIMES}, derived={"utilization": 0.62})},
)
ROWS = (Row(1, 101, "gone", "SIGKILL"), Row(2, 102, "ready"), Row(3, 103, "ready"))


def record_of(rows: tuple[Row, ...] = ROWS, elapsed_s: float = 17.0) -> Record:
    """The record of a serving in full swing, with these workers."""
    tally = Tally(
        answered=17312,
        right=16900,
        lost=1,
        told=149,
        reopened=149,
        rates=[float(n) for n in range(34)],
        p99s=[n % 5 / 1000 for n in range(34)],
        rounds=Counter({101: 3400, 102: 5412, 103: 1200}),
        homes={f"player-{n}": 101 + n % 3 for n in range(300)},
        pictures=deque([(np.full(64, 16.0), 7), (np.zeros(64), 4)] * 12),
    )
    return Record(
        tally=tally,
        phase="serving",
        elapsed_s=elapsed_s,
        length_s=30.0,
        workers={row.worker: row for row in rows},
        busy=frozenset({2}),
        queued=3,
        running=2,
        sessions=300,
        open_sessions=300,
        rate=1012.2,
        p50_s=0.00087,
        p99_s=0.0123,
        minute=MINUTE,
    )


def drawn(record: Record, width: int, height: int, notes: list[str]) -> list[str]:
    """The lines of a record on a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(screen.render(record, width, height, notes))
    return capture.get().splitlines()


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 40), (40, 15), (200, 12)])
def test_the_view_fits_the_terminal(size):
    """No line is wider and there are no more lines than the terminal has."""
    width, height = size
    seen = drawn(record_of(), width, height, NOTES)
    assert len(seen) <= max(height, screen.FIXED + 2)
    assert max(map(len, seen)) <= width


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 40)])
def test_what_matters_is_seen_at_every_size(size):
    """Workers, queue, throughput, latency, wrong answers and the last note."""
    seen = "\n".join(drawn(record_of(), *size, NOTES))
    for said in ("gone: SIGKILL", "busy", "1,012", "p99 12.3 ms", "3 waiting", "0 wrong", "95 of 100, slow", "1 call,"):
        assert said in seen
    assert NOTES[-1][:40] in seen


def test_a_row_says_who_is_busy_and_the_dead_have_no_sessions():
    """Sessions are those a worker answered last; those of a dead one are lost, its answers stay."""
    seen = [line.split() for line in drawn(record_of(), 80, 24, NOTES)]
    assert ["1", "101", "0", "3,400", "gone:", "SIGKILL"] in seen
    assert ["2", "102", "100", "5,412", "busy"] in seen
    assert ["3", "103", "100", "1,200", "ready"] in seen


def test_pictures_come_only_where_there_is_room():
    """They are the first to go."""
    block = "█" * screen.SIDE
    assert any(block in line for line in drawn(record_of(), 80, 26, NOTES))
    assert not any(block in line for line in drawn(record_of(), 80, 20, NOTES))


def test_of_many_workers_the_dead_and_the_old_are_left_out_first():
    """Those that serve are seen as long as there is room for them."""
    rows = tuple(Row(n, 100 + n, "gone" if n < 5 else "ready") for n in range(1, 33))
    assert [row.worker for row in screen.latest(rows[:8], 5)] == [4, 5, 6, 7, 8]
    assert [row.worker for row in screen.latest(rows[:8], 2)] == [7, 8]
    assert len(drawn(record_of(rows), 80, 24, NOTES)) <= 24


def test_before_the_serving_there_is_a_view_too():
    """The cold start has no length, no workers and no answers."""
    seen = "\n".join(drawn(Record(tally=Tally(), sessions=300, elapsed_s=1.2), 60, 20, NOTES[:1]))
    assert "cold start  1 s" in seen
    assert "0 checked" in seen


def test_a_sparkline_shows_the_latest_against_the_highest():
    """One bar a value; none where there is no room; flat where all is zero."""
    assert screen.sparkline([9.0, 0.0, 1.0, 2.0], 3) == "▁▅█"
    assert screen.sparkline([1.0, 2.0], 0) == ""
    assert screen.sparkline([0.0, 0.0], 5) == "▁▁"


def test_a_picture_is_eight_columns_of_half_blocks_with_its_answer():
    """As many as fit, each with the digit below it; greys where the terminal has them."""
    pictures = [(np.full(64, 16.0), 7), (np.zeros(64), 4), (np.zeros(64), 1)]
    console = Console(file=io.StringIO(), width=2 * screen.WIDTH + 3, color_system="truecolor", force_terminal=True)
    with console.capture() as inked:
        console.print(screen.strip(pictures, console.width, shaded=False))
    assert inked.get().splitlines()[:-1] == ["█" * 8 + " " * 12] * 4
    assert "   7" in inked.get()
    assert "   4" in inked.get()
    assert "   1" not in inked.get()
    with console.capture() as shaded:
        console.print(screen.strip(pictures, console.width, shaded=True))
    assert "\x1b[38;2;255;255;255;48;2;255;255;255m▀" in shaded.get()


def test_plain_figures_come_now_and_then_and_notes_at_once():
    """A log is not flooded, however often it is shown."""
    console = Console(file=io.StringIO(), width=40)
    view = screen.Lines(console)
    with view:
        for tick in range(17):
            view.show(record_of(elapsed_s=tick / 4))
        view.note(NOTES[0])
    said = console.file.getvalue().splitlines()
    assert len(said) == 3
    assert "1,012 calls/s" in said[0]
    assert "2 workers" in said[0]
    assert said[-1] == NOTES[0]


def summary_of(**seen: int) -> Record:
    """The record of one kill, with these counts in the tally."""
    tally = Tally(**seen)
    if tally.answered:
        tally.latencies.append(0.002)
    return Record(
        tally=tally,
        sessions=300,
        opened_s=1.89,
        cold=ColdStart(1.02, 0.58),
        served_s=30.0,
        calls_per_s=tally.answered / 30.0,
        minute=MINUTE,
        gone=WorkerGone(1, 101, "crashed", "died", 9, None, 1, 148, 5.0),
        replaced_s=0.046,
    )


def summed_up(record: Record, width: int) -> str:
    """The summary on a terminal of that width, with runs of blanks as one."""
    console = Console(file=io.StringIO(), width=width)
    screen.print_summary(console, record)
    seen = console.file.getvalue()
    assert max(map(len, seen.splitlines())) <= width
    return "\n".join(" ".join(line.split()) for line in seen.splitlines())


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_summary_has_every_figure(width):
    """Calls, rate, percentiles, what was lost, and what was wrong."""
    seen = summed_up(summary_of(answered=30000, right=29000, lost=1, told=148, reopened=148), width)
    for line in (
        "calls 30,149",
        "calls/s 1,000",
        "p50 2.00 ms",
        "p99 2.00 ms",
        "workers lost 1 killed; replaced after",
    ):
        assert line in seen
    for line in ("calls lost 1", "sessions lost 148", "wrong answers 0", "wrong scores 0", "cold start 1.89 s"):
        assert line in seen
    assert "Every answer went to the call that asked." in seen


@pytest.mark.parametrize("mistake", ["wrong", "miscounted"])
def test_a_mistake_is_said_and_sets_the_exit_code(mistake):
    """One wrong answer or score is enough."""
    record = summary_of(answered=30000, **{mistake: 1})
    assert record.exit_code == 1
    assert "There were wrong answers." in summed_up(record, 80)


def test_calls_that_failed_otherwise_are_named():
    """Nothing that went wrong is left out of the summary."""
    record = summary_of(answered=10)
    record.tally.failures["queue_full"] = 3
    seen = summed_up(record, 80)
    assert "calls failed 3 queue_full" in seen
    assert "some calls failed" in seen


def test_an_end_before_the_serving_has_a_summary_too():
    """Nothing was served, and nothing was wrong."""
    record = Record(tally=Tally(), sessions=300, is_cut_short=True)
    assert record.exit_code == 0
    assert summed_up(record, 80).strip() == "Ended early. Nothing was served."
