"""Calls made while the pool opens: their arguments are encoded, and what they mean is found out once the pool serves.

They wait in the core like all others, each until its deadline. Made and settled by the call factory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from millpond.core import Call

if TYPE_CHECKING:
    from millpond.core import Operation, Session


class EarlyCall(Call):
    """A call whose operation or session was not known when it was made; `again` is how to look for them."""

    __slots__ = ("again",)

    again: Callable[[EarlyCall], Call]

    def settle(self) -> None:
        """Find out what it means. Raises `BadArgument` or `SessionLost` for what does not fit the pool."""
        self.again(self)
        del self.again

    def become(self, operation: Operation, session: Session | None) -> EarlyCall:
        """Be a call of this operation in this session."""
        self.op, self.operation, self.is_stream = operation, operation.number, operation.is_stream
        self.session = session
        return self
