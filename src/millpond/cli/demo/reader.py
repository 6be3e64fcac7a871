"""The handler of the demo: reads digits, and keeps each session's running score in the worker.

`preload` runs once, in the warden; workers forked from it share the trained model's memory. Everything else runs in
the workers.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, NamedTuple

from millpond.cli.demo.model import Model, Pixels, train


class ColdStart(NamedTuple):
    """Where the seconds of the cold start went."""

    import_s: float
    train_s: float


class Round(NamedTuple):
    """One session's answer: the digit read, its score so far, and who answered."""

    digit: int
    rounds: int
    right: int
    session_id: str
    pid: int


class DigitReader:
    """Reads handwritten digits."""

    model: ClassVar[Model | None] = None

    def __init__(self) -> None:
        self._model = type(self).model or train()

    @classmethod
    def preload(cls) -> None:
        cls.model = train()

    def cold_start(self) -> ColdStart:
        """What importing and training took."""
        return ColdStart(self._model.import_s, self._model.train_s)

    def read(self, pixels: Pixels) -> int:
        """The digit on an image."""
        return self._model.read(pixels)

    def play(self, pixels: Pixels, truth: int, *, session: Any) -> Round:
        """Read an image for a session, and keep its score."""
        digit = self._model.read(pixels)
        score = session.state
        score["rounds"] = score.get("rounds", 0) + 1
        score["right"] = score.get("right", 0) + (digit == truth)
        return Round(digit, score["rounds"], score["right"], session.id, os.getpid())
