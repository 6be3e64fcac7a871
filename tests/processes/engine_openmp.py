"""A handler with a model that OpenMP and BLAS work on, fitted in the warden."""

from __future__ import annotations

import os
from typing import Any

import numpy
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier


class Fitted:
    """Predicts with models fitted before the fork."""

    models: Any = ()

    @classmethod
    def preload(cls) -> None:
        random = numpy.random.default_rng(1)
        inputs, labels = random.random((400, 8)), random.integers(0, 2, 400)
        cls.models = (HistGradientBoostingClassifier(max_iter=5), KNeighborsClassifier())
        for model in cls.models:
            model.fit(inputs, labels)

    def predict(self) -> tuple[int, int]:
        inputs = numpy.random.default_rng(2).random((5000, 8))
        inputs @ inputs.T
        return os.getpid(), sum(len(model.predict(inputs)) for model in self.models)
