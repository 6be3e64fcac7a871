"""Handlers whose start costs something: a second and more, or 200 MB that all workers may share."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np

LOAD_S = 1.2
ARRAY_MB = 200


class Slow:
    """Takes over a second to start: that long a model loads, or a library compiles."""

    model: ClassVar[Any] = None

    def __init__(self) -> None:
        self.model = type(self).model or self._load()

    @classmethod
    def preload(cls) -> None:
        cls.model = cls._load()

    @staticmethod
    def _load() -> list[int]:
        time.sleep(LOAD_S)  # as seen from outside; what it does meanwhile is no matter here
        return list(range(1000))

    def ask(self, at: int) -> int:
        answer: int = self.model[at]
        return answer


class Large:
    """Holds an array of 200 MB, and reads it at each call."""

    array: ClassVar[Any] = None

    def __init__(self) -> None:
        self.array = type(self).array if type(self).array is not None else self._load()

    @classmethod
    def preload(cls) -> None:
        cls.array = cls._load()

    @staticmethod
    def _load() -> Any:
        return np.ones(ARRAY_MB * 1024 * 1024 // 8)

    def ask(self, at: int) -> float:
        """The sum of a thousand numbers somewhere in the array."""
        return float(self.array[at : at + 1000].sum())


class Echo:
    """Nothing to load."""

    def echo(self, value: Any) -> Any:
        return value
