"""The images last read, with the answers, as small pictures of half blocks."""

from __future__ import annotations

from collections import deque

from rich.text import Text

from millpond.cli.demo.model import Pixels

SIDE = 8  # pixels each way
HEIGHT = SIDE // 2 + 1  # lines of one picture: two pixels a line, and the answer below
WIDTH = SIDE + 2  # columns of one picture and the gap after it
INK = 5  # of 16: what counts as dark where there are no greys
KEPT = 24  # pictures that fit on the widest terminal


class Gallery:
    """The latest pictures, newest first."""

    def __init__(self) -> None:
        self._hung: deque[tuple[Pixels, int]] = deque(maxlen=KEPT)

    def hang(self, pixels: Pixels, digit: int) -> None:
        """Add a picture that was read."""
        self._hung.appendleft((pixels, digit))

    def pictures(self) -> tuple[tuple[Pixels, int], ...]:
        """What hangs there now."""
        return tuple(self._hung)


def draw(pictures: tuple[tuple[Pixels, int], ...], columns: int, shaded: bool) -> Text:
    """As many pictures side by side as fit into the columns; in greys, or in ink and paper where there are none."""
    shown = [(pixels.reshape(SIDE, SIDE), digit) for pixels, digit in pictures[: columns // WIDTH]]
    paint = _shade if shaded else _ink
    text = Text(no_wrap=True)
    for line in range(0, SIDE, 2):
        for image, _ in shown:
            for above, below in zip(image[line], image[line + 1], strict=True):
                paint(text, above, below)
            text.append(" " * (WIDTH - SIDE))
        text.append("\n")
    for _, digit in shown:
        text.append(f"{digit:^{SIDE}}" + " " * (WIDTH - SIDE), style="bold")
    return text


def _shade(text: Text, above: float, below: float) -> None:
    text.append("▀", style=f"{_grey(above)} on {_grey(below)}")


def _ink(text: Text, above: float, below: float) -> None:
    text.append(" ▄▀█"[2 * (above > INK) + (below > INK)])


def _grey(value: float) -> str:
    level = round(value / 16 * 255)
    return f"#{level:02x}{level:02x}{level:02x}"
