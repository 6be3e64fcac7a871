"""Ids of sessions: each owner has its own, whatever the owner is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millpond.http.asking import owned, prefix_of, shown

OWNER = st.text(st.sampled_from("ab:%3A25"), min_size=1, max_size=6)


@given(OWNER, st.text(max_size=6), OWNER, st.text(max_size=6))
def test_no_two_owners_share_a_session(owner, session, other, others):
    """An id names one owner and one session of its own, and is shown as it was given."""
    assert shown(owned(session, owner), owner) == session
    if owner != other:
        assert not owned(others, other).startswith(prefix_of(owner))
        assert owned(session, owner) != owned(others, other)
