"""The stopwatch is put around functions by their names, which others may change."""

from __future__ import annotations

from benchmarks.http.servers.altered import COUNTED, STAGES


def test_every_stage_is_a_function_there_is():
    """One that was renamed would be charged to the stage around it."""
    assert [name for owner, name, _ in STAGES if not callable(getattr(owner, name, None))] == []
    assert COUNTED in {stage for _, _, stage in STAGES}
