"""One check for every table of states: a legal transition happens, an illegal one raises and changes nothing.

Calls, sessions, workers and breakers each declare a table `{(before, after): why}`; the diagrams in the docs are drawn
from the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Table = Mapping[tuple[str, str], str]


class IllegalTransition(RuntimeError):
    """A state change that its table does not hold: a bug in Millpond, never the caller's fault."""


class Stateful(Protocol):
    """A record with a state."""

    state: str


def move(record: Stateful, after: str, table: Table) -> None:
    """Put `record` into the state `after`, or raise `IllegalTransition` and leave it as it was."""
    if (record.state, after) not in table:
        raise IllegalTransition(f"{record!r}: {record.state} -> {after} is not in the table")
    record.state = after
