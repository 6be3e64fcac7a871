"""What the demo shows: the live view at every size, and the plain lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from millpond.cli.demo import screen
from millpond.cli.demo.record import PoolRecord, Record
from tests.cli.demo.records import LINK, pool_of, record_of

NOTES = [f"{second:6.1f} s  something happened that takes a long sentence to tell, {second}" for second in range(30)]


def drawn(record: Record, width: int, height: int, notes: list[str]) -> list[str]:
    """The lines of a record on a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(screen.render(record, width, height, notes))
    return capture.get().splitlines()


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (140, 40), (40, 24), (40, 15), (200, 12)])
def test_the_view_fits_the_terminal(size):
    """No line is wider and there are no more lines than the terminal has."""
    width, height = size
    seen = drawn(record_of(), width, height, NOTES)
    assert len(seen) <= height
    assert max(map(len, seen)) <= width


@pytest.mark.parametrize("size", [(40, 24), (60, 20), (80, 24), (140, 40)])
def test_what_matters_is_seen_at_every_size(size):
    """The link whole, the phase, both pools with health, workers, throughput, latency, and the last note."""
    lines = drawn(record_of(), *size, NOTES)
    seen = "\n".join(lines)
    for said in ("overload  5 of 14 s", "digits-plain", "62 saturated", "2 of 2", "48", "12.1 / 912 ms", "266, "):
        assert said in seen
    assert LINK in "".join(line.strip() for line in lines)
    assert NOTES[-1][:30] in seen
    assert "Ctrl-C ends the demo" in seen
    shown = [line.strip() for line in lines]
    assert not any("…" in line for line in shown[: shown.index("")])


def test_a_full_terminal_shows_what_was_lost_and_what_was_wrong():
    """On the usual 80 columns and 24 lines nothing is left out."""
    seen = "\n".join(drawn(record_of(), 80, 24, NOTES))
    for said in (
        "0, 74 kept",
        "37, 0 kept",
        "2 of 2 wanted, 1 busy",
        "0 of 1,012",
        "150, 20 asleep",
        "DemoOverload",
        "266, 7 late",
    ):
        assert said in seen


def test_the_least_important_figures_go_first():
    """Where there is no room, health and workers are seen and alerts are not."""
    seen = "\n".join(drawn(record_of(), 80, 14, NOTES))
    assert "62 saturated" in seen
    assert "DemoOverload" not in seen


def test_a_start_has_nothing_to_tell_yet():
    """Nothing is known of the pools, and nothing fails."""
    record = Record(pools=(PoolRecord("digits"), PoolRecord("digits-plain")), sessions=150)
    seen = "\n".join(drawn(record, 80, 24, []))
    assert "start  0 s" in seen
    assert "digits-plain" in seen


def test_a_wrong_answer_is_seen():
    """Of all the calls, one is enough."""
    record = record_of(pools=(one := pool_of("digits"),))
    one.tally.wrong = 1
    assert "1 of 1,012" in "\n".join(drawn(record, 80, 24, NOTES))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "-"), (0.00087, "0.87 ms"), (0.0123, "12.3 ms"), (0.456, "456 ms")]
)
def test_times_have_three_figures(seconds, said):
    """And no time at all is a dash."""
    assert screen.milliseconds(seconds) == said


def test_the_story_stays_when_the_screen_is_gone():
    """Its latest notes are printed below each other, so many at most."""
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    with screen.Screen(console) as view:
        for number in range(screen.KEPT + 1):
            view.note(f"note {number}")
        view.show(record_of())
    said = console.file.getvalue()
    assert f"note {screen.KEPT}\n" in said
    assert "note 0\n" not in said


def test_plain_lines_come_now_and_then():
    """Figures of each pool every few seconds of traffic, notes at once, none shortened."""
    console = Console(width=40, file=io.StringIO())
    with screen.Lines(console) as view:
        for tick in range(44):
            view.show(record_of(served_s=tick / 4))
        view.note(NOTES[0])
    said = console.file.getvalue().splitlines()
    assert len(said) == 5
    assert said[0].strip().startswith("digits: 48 answers/s, p50 12.1 ms, p99 912 ms, 2 workers, 3 waiting")
    assert said[1].strip().startswith("digits-plain: ")
    assert said[-1] == NOTES[0]
