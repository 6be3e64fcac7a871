"""What the demo shows: the live view at every size, the plain lines, and the summary."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from millpond.cli.demo import gallery, lines, screen, summary
from millpond.cli.demo.mishap import Mishap
from millpond.cli.demo.reader import ColdStart
from millpond.cli.demo.report import Report
from millpond.cli.demo.roster import BUSY, GONE, READY, Row
from millpond.cli.demo.scene import Scene
from millpond.cli.demo.sparkline import sparkline
from millpond.cli.demo.tally import Tally
from millpond.cli.demo.vitals import Vitals
from millpond.events import WorkerGone

NOTES = [f"{second:5.1f} s  something happened that takes a long sentence to tell, {second}" for second in range(9)]
VITALS = Vitals(
    health=95.4,
    state="slow",
    reason="12 % of the calls missed their deadline",
    p50_s=0.00086,
    p95_s=0.0042,
    p99_s=0.0121,
    utilization=0.62,
)
SCENE = Scene(
    phase="serving",
    elapsed_s=17.0,
    length_s=30.0,
    workers=(Row(1, 101, GONE, 3400, 0, "SIGKILL"), Row(2, 102, BUSY, 5412, 200), Row(3, 103, READY, 1200, 100)),
    queued=3,
    running=2,
    sessions=300,
    rate=1012.2,
    p50_s=0.00087,
    p99_s=0.0123,
    rates=tuple(float(n) for n in range(34)),
    p99s=tuple(n % 5 / 1000 for n in range(34)),
    answered=17312,
    right=16900,
    lost=1,
    told=149,
    reopened=149,
    vitals=VITALS,
    pictures=((np.full(64, 16.0), 7), (np.zeros(64), 4)) * 12,
)


def drawn(scene: Scene, width: int, height: int, notes: list[str]) -> list[str]:
    """The lines of a scene on a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(screen.render(scene, width, height, notes))
    return capture.get().splitlines()


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 40), (40, 15), (200, 12)])
def test_the_view_fits_the_terminal(size):
    """No line is wider and there are no more lines than the terminal has."""
    width, height = size
    seen = drawn(SCENE, width, height, NOTES)
    assert len(seen) <= max(height, screen.FIXED + 2)
    assert max(map(len, seen)) <= width


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 40)])
def test_what_matters_is_seen_at_every_size(size):
    """Workers, queue, throughput, latency, wrong answers and the last note."""
    seen = "\n".join(drawn(SCENE, *size, NOTES))
    for said in ("gone: SIGKILL", "busy", "1,012", "p99 12.3 ms", "3 waiting", "0 wrong", "95 of 100, slow", "1 call,"):
        assert said in seen
    assert NOTES[-1][:40] in seen


def test_pictures_come_only_where_there_is_room():
    """They are the first to go."""
    block = "█" * gallery.SIDE
    assert any(block in line for line in drawn(SCENE, 80, 26, NOTES))
    assert not any(block in line for line in drawn(SCENE, 80, 20, NOTES))


def test_of_many_workers_the_dead_and_the_old_are_left_out_first():
    """Those that serve are seen as long as there is room for them."""
    rows = tuple(Row(n, 100 + n, GONE if n < 5 else READY) for n in range(1, 9))
    assert [row.worker for row in screen.latest(rows, 5)] == [4, 5, 6, 7, 8]
    assert [row.worker for row in screen.latest(rows, 2)] == [7, 8]
    assert len(drawn(dataclasses.replace(SCENE, workers=rows * 4), 80, 24, NOTES)) <= 24


def test_before_the_serving_there_is_a_view_too():
    """The cold start has no length, no workers and no answers."""
    seen = "\n".join(drawn(Scene(phase="cold start", elapsed_s=1.2, length_s=None), 60, 20, NOTES[:1]))
    assert "cold start  1 s" in seen
    assert "0 checked" in seen


def test_a_sparkline_shows_the_latest_against_the_highest():
    """One bar a value; none where there is no room; flat where all is zero."""
    assert sparkline([9.0, 0.0, 1.0, 2.0], 3) == "▁▅█"
    assert sparkline([1.0, 2.0], 0) == ""
    assert sparkline([0.0, 0.0], 5) == "▁▁"


def test_a_picture_is_eight_columns_of_half_blocks_with_its_answer():
    """As many as fit, each with the digit below it; greys where the terminal has them."""
    pictures = ((np.full(64, 16.0), 7), (np.zeros(64), 4), (np.zeros(64), 1))
    console = Console(file=io.StringIO(), width=2 * gallery.WIDTH + 3, color_system="truecolor", force_terminal=True)
    with console.capture() as inked:
        console.print(gallery.Strip(pictures, console.width, shaded=False))
    assert inked.get().splitlines()[:-1] == ["█" * 8 + " " * 12] * 4
    assert "   7" in inked.get()
    assert "   4" in inked.get()
    assert "   1" not in inked.get()
    with console.capture() as shaded:
        console.print(gallery.Strip(pictures, console.width, shaded=True))
    assert "\x1b[38;2;255;255;255;48;2;255;255;255m▀" in shaded.get()


def test_plain_figures_come_now_and_then_and_notes_at_once():
    """A log is not flooded, however often the scene is shown."""
    console = Console(file=io.StringIO(), width=40)
    view = lines.Lines(console)
    with view:
        for tick in range(17):
            view.show(dataclasses.replace(SCENE, elapsed_s=tick / 4))
        view.note(NOTES[0])
    said = console.file.getvalue().splitlines()
    assert len(said) == 3
    assert "1,012 calls/s" in said[0]
    assert "2 workers" in said[0]
    assert said[-1] == NOTES[0]


def report_of(**seen) -> Report:
    """A report of one kill, with these counts in the tally."""
    mishap = Mishap(lambda: 0.0, lambda _: None)
    mishap.gone, mishap.replaced_s = WorkerGone(1, 101, "crashed", "died", 9, None, 1, 148, 5.0), 0.046
    tally = Tally(**seen)
    if tally.answered:
        tally.timed(1.0, 0.002)
    cold = ColdStart(1.02, 0.58)
    report = Report(tally=tally, mishap=mishap, sessions=300, opened_s=1.89, cold=cold)
    report.close_books(served_s=30.0, vitals=VITALS)
    return report


def summed_up(report: Report, width: int) -> str:
    """The summary on a terminal of that width, with runs of blanks as one."""
    console = Console(file=io.StringIO(), width=width)
    summary.print_summary(console, report)
    seen = console.file.getvalue()
    assert max(map(len, seen.splitlines())) <= width
    return "\n".join(" ".join(line.split()) for line in seen.splitlines())


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_summary_has_every_figure(width):
    """Calls, rate, percentiles, what was lost, and what was wrong."""
    seen = summed_up(report_of(answered=30000, right=29000, lost=1, told=148, reopened=148), width)
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
    report = report_of(answered=30000, **{mistake: 1})
    assert report.exit_code == 1
    assert "There were wrong answers." in summed_up(report, 80)


def test_calls_that_failed_otherwise_are_named():
    """Nothing that went wrong is left out of the summary."""
    report = report_of(answered=10)
    report.tally.failures["queue_full"] = 3
    seen = summed_up(report, 80)
    assert "calls failed 3 queue_full" in seen
    assert "some calls failed" in seen


def test_an_end_before_the_serving_has_a_summary_too():
    """Nothing was served, and nothing was wrong."""
    report = Report(tally=Tally(), mishap=Mishap(lambda: 0.0, lambda _: None), sessions=300, is_cut_short=True)
    assert report.exit_code == 0
    assert summed_up(report, 80).strip() == "Ended early. Nothing was served."
