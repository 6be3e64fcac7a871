"""Draws a record of the demo: live, for a terminal of a given size, or as plain lines, and the summary at the end.

What does not fit is left out, least important first. Asks the pool nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from examples.demo.reader import Pixels
from examples.demo.story import Record, Row, Tally, count

STYLES = {"starting": "yellow", "ready": "green", "busy": "bold green", "draining": "yellow", "gone": "red"}
MARGIN = 1  # columns left free on each side
LABEL = 11  # columns of the figures' names
VALUES = 28  # columns of the figures before their sparkline
FIXED = 13  # lines that are always drawn: title, bar, the table's head, eight figures, and two that are empty
NOTES = 4  # notes that come before the pictures
BARS = "▁▂▃▄▅▆▇█"
EVERY_S = 2.0  # between two plain lines of figures
SIDE = 8  # pixels of a picture each way
HEIGHT = SIDE // 2 + 1  # lines of one picture: two pixels a line, and the answer below
WIDTH = SIDE + 2  # columns of one picture and the gap after it
INK = 5  # of 16: what counts as dark where there are no greys


class Screen:
    """The terminal while the demo runs; leaves it as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._shaded = console.color_system in ("256", "truecolor")
        self._notes: list[str] = []

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for note in self._notes:  # the live view is gone from the terminal: the story stays
            self._console.print(note, markup=False, highlight=False)

    def note(self, line: str) -> None:
        """Something happened; the next drawing tells it."""
        self._notes.append(line)

    def show(self, record: Record) -> None:
        """Draw it."""
        self._live.update(render(record, *self._console.size, self._notes, self._shaded), refresh=True)


class Lines:
    """The plain view, for pipes, logs and dumb terminals: what happens at once, and now and then how it goes."""

    def __init__(self, console: Console) -> None:
        self._console, self._next_s = console, EVERY_S

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def note(self, line: str) -> None:
        """Something happened."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, record: Record) -> None:
        """Say how it goes, if it is time."""
        if not record.tally.answered or record.elapsed_s < self._next_s:
            return
        self._next_s = record.elapsed_s + EVERY_S
        at_work = sum(row.state == "ready" for row in record.workers.values())
        self.note(
            f"         {record.rate:,.0f} calls/s, {latency(record.p50_s, record.p99_s)}, {count(at_work, 'worker')}, "
            f"{record.queued:,} queued, {record.tally.answered:,} answers, {record.tally.mistakes:,} wrong"
            + (f", health {record.minute.health.score:.0f}" if record.minute else "")
        )


def render(record: Record, width: int, height: int, notes: list[str], shaded: bool = False) -> RenderableType:
    """A record and the latest notes as one drawing of that size."""
    columns = width - 2 * MARGIN
    rows = latest(record.workers.values(), max(1, height - FIXED - NOTES))
    left = height - FIXED - max(1, len(rows))
    pictures = list(record.tally.pictures) if left > NOTES + HEIGHT else []
    told = notes[-max(1, left - (HEIGHT + 1) * bool(pictures)) :]
    parts = [title(record, columns), bar(record, columns), "", table(record, rows), "", figures(record, columns)]
    if pictures:
        parts += ["", strip(pictures, columns, shaded)]
    parts += ["", *(Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in told)]
    return Padding(Group(*parts), (0, MARGIN))


def latest(workers: Any, room: int) -> list[Row]:
    """The workers there is room for: the living before the gone, newer before older."""
    chosen = sorted(workers, key=lambda row: (row.state == "gone", -row.worker))[:room]
    return sorted(chosen, key=lambda row: row.worker)


def title(record: Record, columns: int) -> RenderableType:
    """Name on the left, phase on the right."""
    name = "Millpond: reading handwritten digits" if columns >= 70 else "Millpond demo"
    of = "" if record.length_s is None else f" of {record.length_s:.0f}"
    right = f"{record.phase}  {record.elapsed_s:.0f}{of} s"
    return Text.assemble((name, "bold cyan"), " " * max(1, columns - len(name) - len(right)), right, no_wrap=True)


def bar(record: Record, columns: int) -> ProgressBar:
    """How far the phase is, or that it goes on."""
    if record.share is not None:
        return ProgressBar(total=1.0, completed=record.share, width=columns)
    if record.length_s is None:
        return ProgressBar(pulse=True, width=columns, animation_time=record.elapsed_s)
    return ProgressBar(total=record.length_s, completed=min(record.elapsed_s, record.length_s), width=columns)


def table(record: Record, rows: list[Row]) -> Table:
    """The workers, one a line; the sessions of each are those that it answered last."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("worker", "pid", "sessions", "answers"):
        drawn.add_column(head, justify="right", min_width=8 if head != "worker" else 6)
    drawn.add_column("state", no_wrap=True, overflow="ellipsis")
    if not rows:
        drawn.add_row("none yet")
    sessions = Counter(record.tally.homes.values())
    for row in rows:
        is_gone = row.state == "gone"
        state = "busy" if row.state == "ready" and row.worker in record.busy else row.state
        said = Text(f"gone: {row.ending}" if is_gone else state, style=STYLES[state])
        numbers = (f"{0 if is_gone else sessions[row.pid]:,}", f"{record.tally.rounds[row.pid]:,}")
        drawn.add_row(str(row.worker), str(row.pid or ""), *numbers, said, style="dim" if is_gone else "")
    return drawn


def figures(record: Record, columns: int) -> Table:
    """Throughput, latency, queue, and what the answers were."""
    room, tally = columns - LABEL - VALUES - 1, record.tally
    lines = Table.grid(padding=(0, 1, 0, 0))
    lines.add_column(width=LABEL, style="dim")
    lines.add_column(no_wrap=True, overflow="ellipsis", max_width=columns - LABEL - 1)
    rates, p99s = (sparkline(values, room) for values in (tally.rates, tally.p99s))
    times = latency(record.p50_s, record.p99_s)
    lines.add_row("calls/s", Text.assemble(f"{f'{record.rate:,.0f}':<{VALUES - 1}}", (rates, "cyan")))
    lines.add_row("latency", Text.assemble(f"{times:<{VALUES - 1}}", (p99s, "magenta")))
    held = f"{record.open_sessions:,} sessions"
    lines.add_row("size", f"{record.wanted:,} of up to {record.limit:,} workers wanted, chosen by the optimizer")
    lines.add_row("queue", f"{record.queued:,} waiting, {record.running:,} running, {held}")
    lines.add_row("answers", answers(tally))
    lines.add_row("health", health(record.minute))
    lines.add_row("minute", in_the_pool(record.minute))
    lines.add_row("lost", f"{count(tally.lost, 'call')}, {count(tally.told, 'session')} ({tally.reopened:,} reopened)")
    return lines


def answers(tally: Tally) -> Text:
    """How many, and whether they were right."""
    wrong = (f"{tally.mistakes:,} wrong", "bold red" if tally.mistakes else "bold green")
    accuracy = f"; model accuracy {tally.right / tally.answered:.1%}" if tally.answered else ""
    return Text.assemble(f"{tally.answered:,} checked, ", wrong, accuracy)


def health(minute: Any) -> Text:
    """What the pool's metrics make of it, and what cost it points."""
    if minute is None:
        return Text("-")
    found = minute.health
    style = "bold green" if found.state == "healthy" else "bold yellow"
    why = f": {found.reason}" if found.reason else ""
    return Text.assemble((f"{found.score:.0f} of 100", style), f", {found.state}{why}")


def in_the_pool(minute: Any) -> str:
    """The collector's percentiles, which the callers' own should be near."""
    if minute is None or not (times := minute.windows[60].distributions["latency"]).p50 > 0:
        return "-"
    p50, p95, p99 = (milliseconds(value) for value in (times.p50, times.p95, times.p99))
    return f"p50 {p50}, p95 {p95}, p99 {p99}, workers {minute.windows[60].derived['utilization']:.0%} busy"


def latency(p50_s: float, p99_s: float) -> str:
    """Both percentiles."""
    return f"p50 {milliseconds(p50_s)}, p99 {milliseconds(p99_s)}"


def milliseconds(seconds: float) -> str:
    """`0.87 ms`, `12.3 ms`, `456 ms`: three figures; a dash for no time at all."""
    ms = seconds * 1000
    return f"{ms:.{2 if ms < 10 else 1 if ms < 100 else 0}f} ms" if ms else "-"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values, each as a bar between nothing and the highest of them."""
    shown = values[-width:] if width > 0 else ()
    highest = max(shown, default=0.0) or 1.0
    return "".join(BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] for value in shown)


def strip(pictures: list[tuple[Pixels, int]], columns: int, shaded: bool) -> Segments:
    """As many pictures side by side as fit into the columns; in greys, or in ink and paper where there are none."""
    shown, gap, drawn = pictures[: columns // WIDTH], Segment(" " * (WIDTH - SIDE)), []
    images = [pixels.astype(int).reshape(SIDE, SIDE).tolist() for pixels, _ in shown]
    for line in range(0, SIDE, 2):
        for image in images:
            drawn += [*map(shade if shaded else ink, image[line], image[line + 1]), gap]
        drawn.append(Segment.line())
    for _, digit in shown:
        drawn += [Segment(f"{digit:^{SIDE}}", Style(bold=True)), gap]
    return Segments([*drawn, Segment.line()])


@cache  # styles are made once: the drawing shares its thread with the calls it shows
def shade(above: int, below: int) -> Segment:
    """Two pixels as one half block in greys."""
    upper, lower = (
        f"#{round(value / 16 * 255):02x}" + f"{round(value / 16 * 255):02x}" * 2 for value in (above, below)
    )
    return Segment("▀", Style(color=upper, bgcolor=lower))


@cache
def ink(above: int, below: int) -> Segment:
    """Two pixels as one character without colours."""
    return Segment(" ▄▀█"[2 * (above > INK) + (below > INK)])


def print_summary(console: Console, record: Record) -> None:
    """Print the figures, what each means, and the verdict, for any width of terminal."""
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True, style="dim")
    drawn.add_column(no_wrap=True, justify="right", style="bold")
    drawn.add_column()
    for line in summary(record):
        drawn.add_row(*line)
    for part in ("", drawn, "", verdict(record)):
        console.print(part)


def summary(record: Record) -> Iterator[tuple[str, str, str]]:
    """What it is, the figure, and a word on it; an early end has fewer."""
    tally, cold = record.tally, record.cold
    if record.opened_s is not None and cold is not None:
        whole = f"import {cold.import_s:.2f} s, training {cold.train_s:.2f} s, once for all workers"
        yield "cold start", f"{record.opened_s:.2f} s", whole
    if not tally.calls:
        return
    p50, p99 = tally.percentiles()
    yield "calls", f"{tally.calls:,}", f"from {count(record.sessions, 'session')} in {record.served_s:.1f} s"
    yield "calls/s", f"{record.calls_per_s:,.0f}", "answered"
    yield "p50", milliseconds(p50), "as the callers saw it"
    yield "p99", milliseconds(p99), ""
    if (minute := record.minute) is not None:
        times = minute.windows[60].distributions["latency"]
        seen = f"{minute.health.state}; {latency(times.p50, times.p99)} by the pool's own metrics"
        yield "health", f"{minute.health.score:.0f} of 100", seen
    yield "most workers", f"{record.most_wanted:,}", sizing(record)
    yield from losses(record)
    yield "wrong answers", f"{tally.wrong:,}", f"of {tally.answered:,}, held against a second copy of the model"
    yield "wrong scores", f"{tally.miscounted:,}", "of sessions, held against their players' own"


def sizing(record: Record) -> str:
    """Who chose how many workers there are."""
    if not record.decisions:
        return "at a time, sized by the optimizer, which left its rule as it was"
    return f"at a time, sized by the optimizer, whose last decision was: {record.decisions[-1]}"


def losses(record: Record) -> Iterator[tuple[str, str, str]]:
    """What the kill cost, and how soon there were as many workers as before."""
    gone, tally, replaced = record.gone, record.tally, ""
    if gone is not None and record.replaced_s is None:
        replaced = "killed; no replacement was ready before the end"
    elif gone is not None and record.replaced_s is not None:
        replaced = f"killed; replaced after {record.replaced_s * 1000:.0f} ms"
    reopened = f"{tally.told:,} told so, {tally.reopened:,} opened anew" if tally.told else ""
    yield "workers lost", "0" if gone is None else "1", replaced
    yield "calls lost", f"{tally.lost:,}", "their callers were told: it may have run" if tally.lost else ""
    yield "sessions lost", f"{gone.sessions if gone else 0:,}", reopened
    for code, number in tally.failures.most_common():
        yield "calls failed", f"{number:,}", code


def verdict(record: Record) -> Text:
    """One sentence."""
    early = "Ended early. " if record.is_cut_short else ""
    if record.tally.mistakes:
        return Text(f"{early}There were wrong answers.", style="bold red")
    if not record.tally.answered:
        return Text(f"{early}Nothing was served.", style="yellow")
    if record.tally.failures:
        return Text(f"{early}Every answer went to the call that asked, but some calls failed.", style="yellow")
    return Text(f"{early}Every answer went to the call that asked.", style="bold green")
