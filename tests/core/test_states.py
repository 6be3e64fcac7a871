"""The tables of states: what they allow, what they refuse, and that each of their states can be left or is an end."""

from __future__ import annotations

import pytest

from millpond.core.records import breaker, call, session, states, worker
from millpond.core.records.states import IllegalTransition, move

TABLES = {
    "breaker": breaker.TRANSITIONS,
    "call": call.TRANSITIONS,
    "engine": states.ENGINE_TRANSITIONS,
    "pool": states.POOL_TRANSITIONS,
    "residency": session.RESIDENCY,
    "session": session.TRANSITIONS,
    "worker": worker.TRANSITIONS,
}
ENDS = {
    "breaker": set(),
    "call": {"ended"},
    "engine": set(),
    "pool": {"closed"},
    "residency": {"gone"},
    "session": {"closed", "lost"},
    "worker": {"gone"},
}


class Record:
    """Something with a state."""

    def __init__(self, state: str) -> None:
        self.state = state


@pytest.mark.parametrize("name", TABLES)
def test_what_the_table_holds_happens_and_nothing_else(name):
    """An illegal step raises and changes nothing."""
    table = TABLES[name]
    known = {state for pair in table for state in pair}
    for before in known:
        for after in known:
            record = Record(before)
            if (before, after) in table:
                move(record, after, table)
                assert record.state == after
            else:
                with pytest.raises(IllegalTransition, match=f"{before} -> {after}"):
                    move(record, after, table)
                assert record.state == before


@pytest.mark.parametrize("name", TABLES)
def test_only_an_end_is_never_left(name):
    """There is no state a record could be stuck in by its table."""
    befores, afters = ({pair[side] for pair in TABLES[name]} for side in (0, 1))
    assert afters - befores == ENDS[name]


@pytest.mark.parametrize("name", TABLES)
def test_each_step_says_why(name):
    """The diagrams are drawn from these words."""
    assert all(why and why[0].islower() and not why.endswith(".") for why in TABLES[name].values())


def test_what_is_derived_is_not_stored():
    """A busy worker is a ready one that holds calls; nobody sets that state."""
    assert worker.BUSY not in {state for pair in worker.TRANSITIONS for state in pair}
    assert {state for pair in worker.DERIVED for state in pair} == {worker.READY, worker.BUSY}
