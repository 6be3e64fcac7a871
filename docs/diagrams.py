"""Draws the diagrams of states into their pages, from the tables of transitions that the core itself obeys.

`python docs/diagrams.py` says which pages are stale, with `--write` it writes them. Text outside the markers is left
alone. `tests/docs/` runs the same check.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tables import DOCS, filled

from millpond.alerts import states
from millpond.core import Table
from millpond.core import states as core_states
from millpond.core.records import breaker, call, session, worker


@dataclass(frozen=True)
class Diagram:
    """One machine of states: where it is drawn, where it begins, and its steps."""

    page: str
    first: str
    steps: Table


DIAGRAMS = {  # marker -> diagram
    "call": Diagram("how-a-call-lives.md", call.QUEUED, call.TRANSITIONS),
    "session": Diagram("how-a-call-lives.md", session.OPEN, session.TRANSITIONS),
    "residency": Diagram("sessions.md", session.NEW, session.RESIDENCY),
    "breaker": Diagram("how-a-call-lives.md", breaker.CLOSED, breaker.TRANSITIONS),
    "worker": Diagram("how-a-worker-lives.md", worker.STARTING, {**worker.TRANSITIONS, **worker.DERIVED}),
    "alert": Diagram("alerts.md", states.INACTIVE, states.TRANSITIONS),
    "engine": Diagram("how-a-worker-lives.md", core_states.AVAILABLE, core_states.ENGINE_TRANSITIONS),
    "pool": Diagram("how-a-worker-lives.md", core_states.NEW, core_states.POOL_TRANSITIONS),
}


def drawn(diagram: Diagram) -> str:
    """The steps in mermaid's words; a state that is never left is an end."""
    befores, afters = ({pair[side] for pair in diagram.steps} for side in (0, 1))
    lines = [f"[*] --> {diagram.first}"]
    lines += [f"{before} --> {after}: {_label(why)}" for (before, after), why in diagram.steps.items()]
    lines += [f"{end} --> [*]" for end in sorted(afters - befores)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in lines), "```"])


def _label(why: str) -> str:
    """Mermaid ends a label at a colon or a semicolon."""
    return why.replace(": ", " - ").replace("; ", ", ")


def stale() -> Iterator[tuple[Path, str]]:
    """The pages that do not show what the tables hold, with the text they should have."""
    for page in sorted({diagram.page for diagram in DIAGRAMS.values()}):
        path = DOCS / page
        text = fresh = path.read_text()
        for name, diagram in DIAGRAMS.items():
            if diagram.page == page:
                fresh = filled(fresh, name, drawn(diagram))
        if fresh != text:
            yield path, fresh


def main() -> None:
    for path, fresh in stale():
        if "--write" not in sys.argv[1:]:
            sys.exit(f"{path.name} is stale: python docs/diagrams.py --write")
        path.write_text(fresh)


if __name__ == "__main__":
    main()
