"""Drawn diagrams show what the core's tables hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

from millpond.core.records import breaker, call, session, states, worker
from tests.docs.pages import PAGES, ROOT

SHOWN = {
    "docs/how-a-call-lives.md": (call.TRANSITIONS, session.TRANSITIONS, breaker.TRANSITIONS),
    "docs/sessions.md": (session.RESIDENCY,),
    "docs/how-a-worker-lives.md": (
        worker.TRANSITIONS,
        worker.DERIVED,
        states.ENGINE_TRANSITIONS,
        states.POOL_TRANSITIONS,
    ),
}


def test_what_is_drawn_is_current():
    """A diagram that its table has outrun fails here; the message says which command draws it again."""
    command = [sys.executable, str(ROOT / "docs" / "diagrams.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("page", SHOWN)
def test_every_step_is_drawn(page):
    """No table is left out, and no step of one."""
    steps = [f"{before} --> {after}: " for table in SHOWN[page] for before, after in table]
    assert [step for step in steps if step not in PAGES[page]] == []
