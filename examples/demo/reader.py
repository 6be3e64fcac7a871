"""The handler of the demo: reads handwritten digits, and keeps each session's running score in its worker.

`preload` trains the classifier once, in the warden; workers forked from it share its memory. It is trained on one half
of the 1,797 scanned digits that come with scikit-learn, the other half is read. Training is deterministic, so two
processes that train get models that say the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float64]  # 64 values from 0 to 16: eight rows of eight
GRID = {"C": [1, 10, 100], "gamma": [0.0003, 0.001, 0.003]}


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


@dataclass(frozen=True, slots=True)
class Model:
    """A trained classifier, the images it has not seen (n x 64) with their truths, and what making it took."""

    classifier: Any
    images: Pixels
    truths: Sequence[int]
    cold_start: ColdStart

    def read(self, images: Pixels) -> list[int]:
        """The digits on images (n x 64)."""
        return [int(digit) for digit in self.classifier.predict(images)]


def train() -> Model:
    """Import scikit-learn and train: a second or more, once, or in front of every user who meets a cold worker."""
    began = time.perf_counter()
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV, train_test_split
    from sklearn.svm import SVC

    imported = time.perf_counter()
    seen, unseen, their_truths, truths = train_test_split(*load_digits(return_X_y=True), test_size=0.5, shuffle=False)
    best = GridSearchCV(SVC(), GRID, cv=3).fit(seen, their_truths).best_estimator_
    took = ColdStart(imported - began, time.perf_counter() - imported)
    return Model(best, unseen, [int(truth) for truth in truths], took)


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
        return self._model.cold_start

    def read(self, pixels: Pixels) -> int:
        """The digit on an image."""
        return self._model.read(pixels.reshape(1, -1))[0]

    def play(self, pixels: Pixels, truth: int, *, session: Any) -> Round:
        """Read an image for a session, and keep its score."""
        digit, score = self.read(pixels), session.state
        score["rounds"] = score.get("rounds", 0) + 1
        score["right"] = score.get("right", 0) + (digit == truth)
        return Round(digit, score["rounds"], score["right"], session.id, os.getpid())
