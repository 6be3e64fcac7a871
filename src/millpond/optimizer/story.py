"""Decisions as people read them: what was changed, why, what was seen and considered, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from millpond.optimizer.decision import Decision
from millpond.optimizer.journal_store import read_journal
from millpond.optimizer.rules import change

CANDIDATES = 3  # shown of those that were considered
SURE = 0.5  # a finding's confidence from which it is told


def story(decisions: Iterable[Decision]) -> str:
    """One paragraph a decision, the oldest first."""
    return "\n\n".join("\n".join(_paragraph(one)) for one in decisions)


def _paragraph(one: Decision) -> Iterator[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.wall)) if one.wall else f"{one.at:.1f} s"
    what = change(one.before, one.rule) if one.is_change else f"kept; proposed: {change(one.before, one.proposed)}"
    yield f"{when}  {one.number}. {one.kind}: {what}"
    yield f"  why: {one.reason}"
    if one.inputs:
        yield "  seen: " + ", ".join(f"{name} {value:.4g}" for name, value in one.inputs.items())
    for finding in one.findings:
        if finding.confidence >= SURE:
            yield f"  found: {finding.sentence}"
    for candidate in one.candidates[:CANDIDATES]:
        cost = f"{candidate.workers:.2f} workers, {candidate.attainment:.2%} met"
        yield f"  considered: {candidate.name}: {cost}"
    for note in one.guard:
        yield f"  guard: {note}"
    if one.outcome:
        yield f"  outcome: {one.outcome}"


def explain(path: str | Path, *, pool: str | None = None, last: int = 100) -> str:
    """The story of the last decisions in a journal's file (the setting `history_path`), of one pool or of all.

    Raises `FileNotFoundError` where there is no file, and `ValueError` for one that holds no journal.
    """
    return story(read_journal(path, pool)[-last:])
