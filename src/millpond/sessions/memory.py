"""Sessions asleep in the parent's own memory: gone with the program, and nothing to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.seams import SessionRecord


class MemoryStore:
    """A `SessionStore` in a dictionary. Closing it forgets everything."""

    is_immediate = True
    survives = False

    def __init__(self) -> None:
        self._records: dict[str, SessionRecord] = {}

    def open(self) -> None:
        """Nothing to prepare."""

    def put_many(self, records: Sequence[SessionRecord]) -> None:
        """See `SessionStore`."""
        for record in records:
            there = self._records.get(record.id)
            if there is None or record.age >= there.age:
                self._records[record.id] = record

    def get(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""
        return self._records.get(session_id)

    def delete_many(self, erased: Sequence[tuple[str, int]]) -> None:
        """See `SessionStore`."""
        for session_id, generation in erased:
            there = self._records.get(session_id)
            if there is not None and there.generation <= generation:
                del self._records[session_id]

    def ids(self) -> list[str]:
        """See `SessionStore`."""
        return list(self._records)

    def forget_before(self, wall_time: float) -> int:
        """See `SessionStore`."""
        old = [record.id for record in self._records.values() if record.saved_at < wall_time]
        for session_id in old:
            del self._records[session_id]
        return len(old)

    def close(self) -> None:
        """Forget everything."""
        self._records.clear()
