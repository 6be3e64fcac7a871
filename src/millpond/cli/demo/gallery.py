"""The images last read, with the answers, as small pictures of half blocks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from millpond.cli.demo.model import Pixels

SIDE = 8  # pixels each way
HEIGHT = SIDE // 2 + 1  # lines of one picture: two pixels a line, and the answer below
WIDTH = SIDE + 2  # columns of one picture and the gap after it
INK = 5  # of 16: what counts as dark where there are no greys
KEPT = 24  # pictures that fit on the widest terminal
BOLD = Style(bold=True)
GAP = Segment(" " * (WIDTH - SIDE))

Picture = tuple[Pixels, int]  # an image and the digit read from it


class Gallery:
    """The latest pictures, newest first."""

    def __init__(self) -> None:
        self._hung: deque[Picture] = deque(maxlen=KEPT)

    def hang(self, pixels: Pixels, digit: int) -> None:
        """Add a picture that was read."""
        self._hung.appendleft((pixels, digit))

    def pictures(self) -> tuple[Picture, ...]:
        """What hangs there now."""
        return tuple(self._hung)


@dataclass(frozen=True, slots=True)
class Strip:
    """As many pictures side by side as fit into the columns; in greys, or in ink and paper where there are none.

    Yields segments with styles that are made once: the drawing shares its thread with the calls it shows.
    """

    pictures: tuple[Picture, ...]
    columns: int
    shaded: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self.pictures[: self.columns // WIDTH]
        paint = shade if self.shaded else ink
        images = [pixels.astype(int).reshape(SIDE, SIDE).tolist() for pixels, _ in shown]
        for line in range(0, SIDE, 2):
            for image in images:
                yield from map(paint, image[line], image[line + 1])
                yield GAP
            yield Segment.line()
        for _, digit in shown:
            yield Segment(f"{digit:^{SIDE}}", BOLD)
            yield GAP
        yield Segment.line()


@cache
def shade(above: int, below: int) -> Segment:
    """Two pixels as one half block in greys."""
    return Segment("▀", Style(color=_grey(above), bgcolor=_grey(below)))


@cache
def ink(above: int, below: int) -> Segment:
    """Two pixels as one character without colours."""
    return Segment(" ▄▀█"[2 * (above > INK) + (below > INK)])


def _grey(value: int) -> str:
    level = round(value / 16 * 255)
    return f"#{level:02x}{level:02x}{level:02x}"
