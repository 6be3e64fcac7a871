"""The journal: every decision of a pool's optimizer, in memory and, where a file is given, in that.

What is held again and again for one reason is entered once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from millpond.optimizer.decision import UNENTERED, Decision, Verdict
from millpond.optimizer.journal_store import JournalStore

KEPT = 1_000


class Journal:
    """The entries of one pool, of this run."""

    def __init__(self, store: JournalStore | None = None) -> None:
        self._entries: deque[Decision] = deque(maxlen=KEPT)
        self._store = store

    def enter(self, decision: Decision) -> bool:
        """Keep a decision; whether it was worth it: nothing is kept of looks that left all as it was."""
        if decision.kind in UNENTERED or (self._entries and _is_again(self._entries[-1], decision)):
            return False
        self._entries.append(decision)
        if self._store is not None:
            self._store.put(decision)
        return True

    def conclude(self, verdicts: Iterable[Verdict]) -> None:
        """Write what came of earlier decisions beside them."""
        for verdict in verdicts:
            for place, entry in enumerate(self._entries):
                if entry.number == verdict.number:
                    self._entries[place] = concluded = replace(entry, outcome=verdict.sentence)
                    if self._store is not None:
                        self._store.put(concluded)

    def last(self, most: int) -> tuple[Decision, ...]:
        """The last entries, the oldest first."""
        return tuple(self._entries)[-most:]

    def close(self) -> None:
        """Write what waits; a few seconds at most."""
        if self._store is not None:
            self._store.close()


def _is_again(last: Decision, decision: Decision) -> bool:
    """Whether the same is held once more."""
    if (last.kind, decision.kind) != ("hold", "hold"):
        return False
    return last.proposed == decision.proposed or last.reason == decision.reason
