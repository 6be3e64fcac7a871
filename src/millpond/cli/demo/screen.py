"""Draws a record of the demo: live, for a terminal of a given size, or as plain lines.

What does not fit is left out, least important first. Asks the pools nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from millpond.cli.demo.record import PoolRecord, Record, count
from millpond.cli.terminal import sparkline

MARGIN = 1  # columns left free on each side
LABEL = 9  # columns of the figures' names
FIGURE = 15  # columns of a figure before its sparkline
NOTES = 3  # notes for which figures are left out
EVERY_S = 5.0  # between two plain lines of figures
STATES = {"healthy": "green", "saturated": "yellow", "slow": "yellow"}  # all others are red


class Screen:
    """The terminal while the demo runs; leaves it as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)
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
        del self._notes[:-KEPT]

    def show(self, record: Record) -> None:
        """Draw it."""
        self._live.update(render(record, *self._console.size, self._notes), refresh=True)


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
        if record.served_s < self._next_s:
            return
        self._next_s = record.served_s + EVERY_S
        for one in record.pools:
            self.note(f"          {one.name}: " + ", ".join(part for part in _in_words(one) if part))


KEPT = 200  # notes that are printed when the screen is gone


def _in_words(one: PoolRecord) -> list[str]:
    """How a pool is now."""
    now = one.now
    return [
        f"{one.rate:,.0f} answers/s",
        f"p50 {milliseconds(one.p50_s)}, p99 {milliseconds(one.p99_s)}",
        "" if now is None else f"{count(now.alive, 'worker')}, {now.queued:,} waiting",
        f"{one.tally.refused:,} refused, {one.tally.mistakes:,} wrong",
        "" if one.health is None else f"health {one.health.score:.0f} ({one.health.state})",
    ]


def render(record: Record, width: int, height: int, notes: Sequence[str]) -> RenderableType:
    """A record and the latest notes as one drawing of that size."""
    columns = width - 2 * MARGIN
    head = [title(record, columns), bar(record, columns), *link(record, columns)]
    rows = FIGURES[: max(1, height - len(head) - 2 - NOTES - 1)]
    drawn = [*head, figures(record, columns, rows)]
    left = height - len(head) - len(rows) - 2
    told = notes[-left:] if left > 0 else []
    drawn += [Text(""), *(Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in told)]
    return Padding(Group(*drawn), (0, MARGIN))


def title(record: Record, columns: int) -> RenderableType:
    """Name on the left, phase on the right."""
    name = "Millpond demo: two pools read handwritten digits" if columns >= 78 else "Millpond demo"
    of = "" if record.length_s is None else f" of {record.length_s:.0f}"
    right = f"{record.phase}  {record.elapsed_s:.0f}{of} s"
    return Text.assemble((name, "bold cyan"), " " * max(1, columns - len(name) - len(right)), right, no_wrap=True)


def bar(record: Record, columns: int) -> Text:
    """How far the phase is; empty where nobody knows how long it takes."""
    done = min(record.elapsed_s / record.length_s, 1.0) if record.length_s else 0.0
    filled = round(done * columns)
    return Text.assemble(("━" * filled, "magenta"), ("━" * (columns - filled), "dim"), no_wrap=True)


def link(record: Record, columns: int) -> list[Text]:
    """The page's address, whole on as many lines as it takes: it is to be copied."""
    parts = [record.link[at : at + columns] for at in range(0, len(record.link), columns)]
    return [*(Text(part, style="bold") for part in parts), Text("logs in once; Ctrl-C ends the demo", style="dim")]


def figures(record: Record, columns: int, rows: Sequence[Row]) -> Table:
    """The figures, a column for each pool."""
    drawn = Table.grid(padding=(0, 1, 0, 0))
    drawn.add_column(width=LABEL, style="dim")
    room = (columns - LABEL - 1) // len(record.pools) - 1
    for _ in record.pools:
        drawn.add_column(width=room, no_wrap=True, overflow="ellipsis")
    for label, figure in rows:
        drawn.add_row(label, *(figure(one, room) for one in record.pools))
    return drawn


Row = tuple[str, Callable[[PoolRecord, int], Text]]


def _name(one: PoolRecord, _: int) -> Text:
    return Text(one.name, style="bold")


def _fitting(room: int, *texts: str) -> Text:
    """The first text there is room for, else the last one."""
    return Text(next((text for text in texts if len(text) <= room), texts[-1]))


def _workers(one: PoolRecord, room: int) -> Text:
    now = one.now
    if now is None:
        return Text("-")
    some = f"{now.alive:,} of {now.wanted:,}"
    return _fitting(room, f"{some} wanted, {len(now.busy):,} busy", some)


def _rate(one: PoolRecord, room: int) -> Text:
    if room <= FIGURE:
        return Text(f"{one.rate:,.0f}")
    return Text.assemble(f"{one.rate:<{FIGURE},.0f}", (sparkline(one.tally.rates, room - FIGURE), "cyan"))


def _times(one: PoolRecord, _: int) -> Text:
    return Text(f"{three_figures(one.p50_s * 1000)} / {three_figures(one.p99_s * 1000)} ms" if one.p99_s else "-")


def _queue(one: PoolRecord, _: int) -> Text:
    return Text("-" if one.now is None else f"{one.now.queued:,}")


def _refused(one: PoolRecord, room: int) -> Text:
    refused = f"{one.tally.refused:,}"
    return _fitting(room, f"{refused}, {one.tally.expired:,} late", refused)


def _wrong(one: PoolRecord, _: int) -> Text:
    tally = one.tally
    style = "bold red" if tally.mistakes else "bold green"
    return Text.assemble((f"{tally.mistakes:,}", style), f" of {tally.answered:,}")


def _sessions(one: PoolRecord, room: int) -> Text:
    now = one.now
    if now is None:
        return Text("-")
    return _fitting(room, f"{now.sessions_open:,}, {now.sessions_asleep:,} asleep", f"{now.sessions_open:,}")


def _lost(one: PoolRecord, room: int) -> Text:
    return _fitting(room, f"{one.lost:,}, {one.restored:,} kept", f"{one.lost:,}")


def _health(one: PoolRecord, _: int) -> Text:
    if one.health is None:
        return Text("-")
    return Text.assemble(f"{one.health.score:.0f} ", (one.health.state, STATES.get(one.health.state, "red")))


def _alerts(one: PoolRecord, _: int) -> Text:
    return Text(", ".join(one.firing) or "none", style="yellow" if one.firing else "")


FIGURES: tuple[Row, ...] = (  # the most important first: those that do not fit are left out
    ("", _name),
    ("health", _health),
    ("workers", _workers),
    ("answers/s", _rate),
    ("p50 / p99", _times),
    ("waiting", _queue),
    ("refused", _refused),
    ("sessions", _sessions),
    ("lost", _lost),
    ("wrong", _wrong),
    ("alerts", _alerts),
)


def milliseconds(seconds: float) -> str:
    """`0.87 ms`, `12.3 ms`, `456 ms`; a dash for no time at all."""
    return f"{three_figures(seconds * 1000)} ms" if seconds else "-"


def three_figures(number: float) -> str:
    """`0.87`, `12.3`, `456`."""
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"
