"""What the workers run: as little as possible, so that the pools are what is measured."""

from __future__ import annotations

import time
from typing import Any


def echo(value: Any) -> Any:
    return value


class Echo:
    """A handler without state, and one operation that counts within its session."""

    def echo(self, value: Any) -> Any:
        return value

    def count(self, value: Any, *, session: Any) -> Any:
        session.state["calls"] = session.state.get("calls", 0) + 1
        return value


class Heavy:
    """A handler whose imports and fitted model cost well over a second."""

    model: Any = None
    preload_s = 0.0

    @classmethod
    def preload(cls) -> None:
        started = time.perf_counter()
        from sklearn.datasets import load_digits
        from sklearn.ensemble import RandomForestClassifier

        images, digits = load_digits(return_X_y=True)
        cls.model = RandomForestClassifier(100, random_state=1).fit(images, digits)
        cls.preload_s = time.perf_counter() - started

    def preloaded_in(self) -> float:
        """Seconds that `preload` took, wherever it ran."""
        return self.preload_s


def load_heavy() -> None:
    """`Heavy.preload` as the initializer of a pool that knows no other way."""
    Heavy.preload()
