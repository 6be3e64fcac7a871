"""What the workers of the web applications do: they read texts, with what they have loaded once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

COMMON = "a and as at be by for from in is it of on or that the this to was with"


class Words:
    """Knows the common words of a language; a model would be loaded in its place."""

    def __init__(self) -> None:
        self.common = frozenset(COMMON.split())

    def frequent(self, text: str, most: int = 3) -> dict[str, int]:
        """The words that a text has most often, common ones left out."""
        words = (word.strip(".,;:!?\"'()").lower() for word in text.split())
        return dict(Counter(word for word in words if word and word not in self.common).most_common(most))

    def spelled(self, text: str) -> Iterator[str]:
        """The words of a text, one by one."""
        yield from text.split()

    def slow(self, seconds: float) -> float:
        """Take that long."""
        time.sleep(seconds)
        return seconds
