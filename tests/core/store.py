"""A session store as the model has it: orders are carried out when the test says so, in order, and may fail."""

from __future__ import annotations

from collections import deque
from typing import Any

from millpond.core.records.session import Session
from millpond.errors import StoreFailed
from millpond.seams import SessionRecord

Answer = tuple[str, Session, SessionRecord | None, StoreFailed | None]


class Store:
    """`kept` are the records by session id; what is asked for waits in `orders`."""

    def __init__(self) -> None:
        self.kept: dict[str, SessionRecord] = {}
        self.orders: deque[tuple[str, Session, SessionRecord | None]] = deque()

    def ask(self, verb: str, session: Session, record: SessionRecord | None) -> None:
        """Note an order."""
        if verb == "store":
            assert record is not None
            state = list(record.state)  # what is stored now changes no more
            assert state == record.state
        self.orders.append((verb, session, record))

    def answer(self, is_failing: bool) -> Answer:
        """Carry the oldest order out, or fail."""
        verb, session, record = self.orders.popleft()
        if verb == "erase":
            kept = self.kept.get(session.id)
            if kept is not None and kept.generation <= session.generation:
                del self.kept[session.id]
            return verb, session, None, None
        if is_failing:
            return verb, session, record, StoreFailed("the disk is full")
        if verb == "recall":
            return verb, session, self.kept.get(session.id), None
        assert record is not None
        kept = self.kept.get(session.id)
        if kept is None or record.age >= kept.age:
            self.kept[session.id] = record
        return verb, session, record, None

    def holds(self, session: Session) -> Any:
        """The state that is kept of a session, if any is."""
        kept = self.kept.get(session.id)
        return kept.state if kept is not None and kept.generation == session.generation else None
