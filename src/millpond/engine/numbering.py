"""Operations keep their numbers when the code is loaded anew: a name has one number for as long as the engine lives.

What another image numbers otherwise is translated on its way to that image's workers. The core knows the lasting
numbers only.
"""

from __future__ import annotations

from millpond.seams import NO_OPERATION, HandlerFacts, OperationFacts


class Numbering:
    """The lasting numbers of one engine, from 1 in the order in which names were first seen."""

    def __init__(self) -> None:
        self._known: dict[str, OperationFacts] = {}

    def lasting(self, facts: HandlerFacts) -> HandlerFacts:
        """The facts with every operation there ever was, in the place of its number; `removed` says which are gone."""
        named = {one.name: one for one in facts.operations}
        self._known.update(named)  # a dictionary keeps the place of a key it knows
        removed = tuple(name for name in self._known if name not in named)
        return HandlerFacts(facts.name, tuple(self._known.values()), facts.hooks, removed)

    def translation(self, facts: HandlerFacts) -> dict[int, int] | None:
        """Lasting number -> the number in this image; `None` where they are the same."""
        self.lasting(facts)
        own = {one.name: number for number, one in enumerate(facts.operations, start=1)}
        translated = {number: own.get(name, NO_OPERATION) for number, name in enumerate(self._known, start=1)}
        return None if all(lasting == image for lasting, image in translated.items()) else translated
