"""The plain view, for pipes, logs and dumb terminals: a line for what happens, and one now and then for how it goes."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console

from millpond.cli.demo.mishap import count
from millpond.cli.demo.scene import Scene
from millpond.cli.demo.screen import milliseconds

EVERY_S = 2.0  # between two lines of figures


class Lines:
    """Prints as it goes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_s = EVERY_S

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""

    def note(self, line: str) -> None:
        """Something happened."""
        self._say(line)

    def show(self, scene: Scene) -> None:
        """Say how it goes, if it is time."""
        if scene.answered and scene.elapsed_s >= self._next_s:
            self._next_s = scene.elapsed_s + EVERY_S
            self._say(figures(scene))

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def figures(scene: Scene) -> str:
    """One line of what `screen` shows on many."""
    at_work = sum(row.state in ("ready", "busy") for row in scene.workers)
    return (
        f"         {scene.rate:,.0f} calls/s, p50 {milliseconds(scene.p50_s)}, p99 {milliseconds(scene.p99_s)}, "
        f"{count(at_work, 'worker')}, {scene.queued:,} queued, {scene.answered:,} answers, {scene.mistakes:,} wrong"
        + (f", health {scene.vitals.health:.0f}" if scene.vitals else "")
    )
