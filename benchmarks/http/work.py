"""What every server does for a request: types of its body and its answer, and the work, which is next to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT = "a dog chases the ball over my lawn"
BODY = b'{"item":{"text":"%s","limit":5}}' % TEXT.encode()  # 64 bytes


@dataclass
class Item:
    text: str
    limit: int


@dataclass
class Request:
    """The body as a whole; Millpond makes this of an operation's parameters by itself."""

    item: Item


@dataclass
class Label:
    label: str
    score: float


def classify(item: Item) -> Label:
    return Label(item.text[: item.limit], 0.5)


class Classifier:
    """The handler of Millpond's pool."""

    def classify(self, item: Item) -> Label:
        return classify(item)

    def count(self, item: Item, *, session: Any) -> Label:
        session.state["calls"] = session.state.get("calls", 0) + 1
        return classify(item)

    def fail(self, item: Item) -> Label:
        raise LookupError(item.text)

    def strict(self, item: int) -> Label:
        """Never runs: the body holds no number."""
        raise AssertionError(item)
