"""The live view: draws a scene for a terminal of a given size. What does not fit is left out, least important first."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from millpond.cli.demo import gallery
from millpond.cli.demo.mishap import count
from millpond.cli.demo.roster import BUSY, DRAINING, GONE, READY, STARTING, Row
from millpond.cli.demo.scene import Scene
from millpond.cli.demo.sparkline import sparkline
from millpond.cli.demo.vitals import Vitals

STYLES = {STARTING: "yellow", READY: "green", BUSY: "bold green", DRAINING: "yellow", GONE: "red"}
MARGIN = 1  # columns left free on each side
LABEL = 11  # columns of the figures' names
VALUES = 28  # columns of the figures before their sparkline
FIXED = 12  # lines that are always drawn: title, bar, the table's head, seven figures, and two that are empty
NOTES = 4  # notes that come before the pictures


class Screen:
    """The terminal while the demo runs; leaves it as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._shaded = console.color_system in ("256", "truecolor")
        self.notes: list[str] = []

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        for note in self.notes:  # the live view is gone from the terminal: the story stays
            self._console.print(note, markup=False, highlight=False)

    def note(self, line: str) -> None:
        """Something happened; the next scene tells it."""
        self.notes.append(line)

    def show(self, scene: Scene) -> None:
        """Draw a scene."""
        width, height = self._console.size
        self._live.update(render(scene, width, height, self.notes, self._shaded), refresh=True)


def render(scene: Scene, width: int, height: int, notes: list[str], shaded: bool = False) -> RenderableType:
    """A scene and the latest notes as one drawing of that size."""
    columns = width - 2 * MARGIN
    rows = latest(scene.workers, max(1, height - FIXED - NOTES))
    left = height - FIXED - max(1, len(rows))
    has_pictures = bool(scene.pictures) and left > NOTES + gallery.HEIGHT
    told = notes[-max(1, left - (gallery.HEIGHT + 1) * has_pictures) :]
    parts: list[RenderableType] = [
        title(scene, columns),
        bar(scene, columns),
        "",
        table(rows),
        "",
        figures(scene, columns),
    ]
    if has_pictures:
        parts += ["", gallery.Strip(scene.pictures, columns, shaded)]
    parts += ["", *(Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in told)]
    return Padding(Group(*parts), (0, MARGIN))


def latest(workers: tuple[Row, ...], room: int) -> tuple[Row, ...]:
    """The workers there is room for: the living before the gone, newer before older."""
    chosen = sorted(workers, key=lambda row: (row.state == GONE, -row.worker))[:room]
    return tuple(sorted(chosen, key=lambda row: row.worker))


def title(scene: Scene, columns: int) -> Text:
    """Name on the left, phase on the right."""
    name = "Millpond: reading handwritten digits" if columns >= 70 else "Millpond demo"
    of = "" if scene.length_s is None else f" of {scene.length_s:.0f}"
    right = f"{scene.phase}  {scene.elapsed_s:.0f}{of} s"
    return Text.assemble((name, "bold cyan"), " " * max(1, columns - len(name) - len(right)), right, no_wrap=True)


def bar(scene: Scene, columns: int) -> ProgressBar:
    """How far the phase is, or that it goes on."""
    if scene.share is not None:
        return ProgressBar(total=1.0, completed=scene.share, width=columns)
    if scene.length_s is None:
        return ProgressBar(pulse=True, width=columns, animation_time=scene.elapsed_s)
    return ProgressBar(total=scene.length_s, completed=min(scene.elapsed_s, scene.length_s), width=columns)


def table(rows: tuple[Row, ...]) -> Table:
    """The workers, one a line."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("worker", "pid", "sessions", "answers"):
        drawn.add_column(head, justify="right", min_width=8 if head != "worker" else 6)
    drawn.add_column("state", no_wrap=True, overflow="ellipsis")
    if not rows:
        drawn.add_row("none yet")
    for row in rows:
        state = f"gone: {row.ending}" if row.state == GONE else row.state
        shown = (str(row.worker), str(row.pid or ""), f"{row.sessions:,}", f"{row.rounds:,}", state)
        drawn.add_row(*shown[:4], Text(state, style=STYLES[row.state]), style="dim" if row.state == GONE else "")
    return drawn


def figures(scene: Scene, columns: int) -> Table:
    """Throughput, latency, queue, and what the answers were."""
    room = columns - LABEL - VALUES - 1
    lines = Table.grid(padding=(0, 1, 0, 0))
    lines.add_column(width=LABEL, style="dim")
    lines.add_column(no_wrap=True, overflow="ellipsis", max_width=columns - LABEL - 1)
    latency = f"p50 {milliseconds(scene.p50_s)}, p99 {milliseconds(scene.p99_s)}"
    lines.add_row("calls/s", beside(f"{scene.rate:,.0f}", sparkline(scene.rates, room), "cyan"))
    lines.add_row("latency", beside(latency, sparkline(scene.p99s, room), "magenta"))
    lines.add_row("queue", f"{scene.queued:,} waiting, {scene.running:,} running, {scene.sessions:,} sessions")
    lines.add_row("answers", answers(scene))
    lines.add_row("health", health(scene.vitals))
    lines.add_row("minute", in_the_pool(scene.vitals))
    lines.add_row("lost", f"{count(scene.lost, 'call')}, {count(scene.told, 'session')} ({scene.reopened:,} reopened)")
    return lines


def health(vitals: Vitals | None) -> Text:
    """What the pool's metrics make of it, and what cost it points."""
    if vitals is None:
        return Text("-")
    style = "bold green" if vitals.state == "healthy" else "bold yellow"
    why = f": {vitals.reason}" if vitals.reason else ""
    return Text.assemble((f"{vitals.health:.0f} of 100", style), f", {vitals.state}{why}")


def in_the_pool(vitals: Vitals | None) -> str:
    """The collector's percentiles, which the callers' own should be near."""
    if vitals is None or not vitals.p50_s > 0:
        return "-"
    p50, p95, p99 = (milliseconds(value) for value in (vitals.p50_s, vitals.p95_s, vitals.p99_s))
    return f"p50 {p50}, p95 {p95}, p99 {p99}, workers {vitals.utilization:.0%} busy"


def beside(value: str, bars: str, style: str) -> Text:
    """A value with its sparkline on the right."""
    return Text.assemble(f"{value:<{VALUES - 1}}", (bars, style))


def answers(scene: Scene) -> Text:
    """How many, and whether they were right."""
    wrong = (f"{scene.mistakes:,} wrong", "bold red" if scene.mistakes else "bold green")
    accuracy = f"; model accuracy {scene.right / scene.answered:.1%}" if scene.answered else ""
    return Text.assemble(f"{scene.answered:,} checked, ", wrong, accuracy)


def milliseconds(seconds: float) -> str:
    """`0.87 ms`, `12.3 ms`, `456 ms`: three figures; a dash for no time at all."""
    if not seconds:
        return "-"
    ms = seconds * 1000
    return f"{ms:.{2 if ms < 10 else 1 if ms < 100 else 0}f} ms"
