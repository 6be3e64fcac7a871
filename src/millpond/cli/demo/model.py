"""A classifier of handwritten digits: the expensive thing that the demo keeps warm.

Trained on one half of the 1,797 scanned digits that come with scikit-learn; the other half is read. Training is
deterministic, so two processes that train get models that say the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float64]  # 64 values from 0 to 16: eight rows of eight
GRID = {"C": [1, 10, 100], "gamma": [0.0003, 0.001, 0.003]}


@dataclass(frozen=True, slots=True)
class Model:
    """A trained classifier, the images it has not seen (n x 64) with their truths, and what making it took."""

    classifier: Any
    images: Pixels
    truths: Sequence[int]
    import_s: float
    train_s: float

    def read(self, pixels: Pixels) -> int:
        """The digit on one image."""
        return int(self.classifier.predict(pixels.reshape(1, -1))[0])

    def read_all(self) -> list[int]:
        """The digits on all unseen images."""
        return [int(digit) for digit in self.classifier.predict(self.images)]


def train() -> Model:
    """Import scikit-learn and train: a second or more, once, or in front of every user who meets a cold worker."""
    began = time.perf_counter()
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV, train_test_split
    from sklearn.svm import SVC

    imported = time.perf_counter()
    images, truths = load_digits(return_X_y=True)
    seen, unseen, their_truths, truths_of_unseen = train_test_split(images, truths, test_size=0.5, shuffle=False)
    search = GridSearchCV(SVC(), GRID, cv=3).fit(seen, their_truths)
    trained = time.perf_counter()
    return Model(
        search.best_estimator_, unseen, [int(t) for t in truths_of_unseen], imported - began, trained - imported
    )
