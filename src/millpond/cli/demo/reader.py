"""The handler of the demo: reads sheets of handwritten digits, and keeps each session's running score in its worker.

`preload` trains the classifiers once, in the warden; workers forked from it share their memory. They are trained on one
half of the 1,797 scanned digits that come with scikit-learn, the other half is read. Training is deterministic, so two
processes that train get models that say the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

Image = Sequence[int]  # 64 values from 0 (paper) to 16 (ink): eight rows of eight
VOTERS = 20  # classifiers, so that a digit takes a part of a millisecond and a sheet is work


class ColdStart(TypedDict):
    """Where the seconds of the cold start went."""

    import_s: float
    train_s: float


class Round(TypedDict):
    """The answer to a session: the digits, its score so far, and its name."""

    digits: list[int]
    sheets: int
    right: int
    session_id: str


@dataclass(frozen=True, slots=True)
class Model:
    """Trained classifiers that vote, the images they have not seen with their truths, and what making them took."""

    classifier: Any
    images: list[list[int]]
    truths: list[int]
    cold_start: ColdStart

    def read(self, images: Sequence[Image]) -> list[int]:
        """The digits on images."""
        return [int(digit) for digit in self.classifier.predict(images)]


def train() -> Model:
    """Import scikit-learn and train: a second or more, once, or in front of every user who meets a cold worker."""
    began = time.perf_counter()
    from sklearn.datasets import load_digits
    from sklearn.ensemble import BaggingClassifier
    from sklearn.svm import SVC

    imported = time.perf_counter()
    images, truths = load_digits(return_X_y=True)
    half = len(images) // 2
    voters = BaggingClassifier(SVC(C=10, gamma=0.001), VOTERS, random_state=0).fit(images[:half], truths[:half])
    took = ColdStart(import_s=imported - began, train_s=time.perf_counter() - imported)
    return Model(voters, images[half:].astype(int).tolist(), truths[half:].tolist(), took)


class DigitReader:
    """Reads handwritten digits, a sheet of them at a time; an image is 64 numbers from 0 to 16."""

    model: ClassVar[Model | None] = None

    def __init__(self) -> None:
        self._model = type(self).model or train()

    @classmethod
    def preload(cls) -> None:
        cls.model = train()

    def cold_start(self) -> ColdStart:
        """What importing and training took."""
        return self._model.cold_start

    def read(self, images: list[list[int]]) -> list[int]:
        """The digits on a sheet."""
        return self._model.read(images)

    def play(self, images: list[list[int]], truths: list[int], *, session: Any) -> Round:
        """Read a sheet for a session, and keep its score: how many sheets, and how many digits were right."""
        digits, score = self.read(images), session.state
        score["sheets"] = score.get("sheets", 0) + 1
        score["right"] = score.get("right", 0) + sum(map(int.__eq__, digits, truths))
        return Round(digits=digits, sheets=score["sheets"], right=score["right"], session_id=session.id)
