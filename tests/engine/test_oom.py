"""Whether the kernel killed for lack of memory, as its counters show."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.engine.oom import OomCounters

V2 = ("0::/pod/worker\n", "pod/worker/memory.events", "low 0\noom 1\noom_kill {}\noom_group_kill 0\n")
V2_IN_CONTAINER = ("0::/../..\n", "memory.events", "oom_kill {}\n")
HYBRID = ("4:memory:/\n0::/a\n", "unified/a/memory.events", "oom_kill {}\n")
V1 = ("5:cpu:/x\n4:hugetlb,memory:/pod\n", "memory/pod/memory.oom_control", "under_oom 0\noom_kill {}\n")


def machine(root: Path, kills: int) -> str:
    (root / "vmstat").write_text(f"nr_free_pages 1\noom_kill {kills}\n")
    return str(root / "vmstat")


@pytest.mark.parametrize(("own", "place", "text"), [V2, V2_IN_CONTAINER, HYBRID, V1])
def test_a_kill_in_the_own_group_is_reported_once(tmp_path, own, place, text):
    """What had happened before says nothing, and a rise explains one death."""
    events = tmp_path / "mount" / place
    events.parent.mkdir(parents=True)
    events.write_text(text.format(3))
    (tmp_path / "own").write_text(own)
    kills = OomCounters(str(tmp_path / "mount"), str(tmp_path / "own"), machine(tmp_path, 7))
    assert kills.hint() == ""
    events.write_text(text.format(4))
    machine(tmp_path, 8)
    assert "control group" in kills.hint()
    assert kills.hint() == ""


def test_a_kill_elsewhere_on_the_machine_is_reported_as_that(tmp_path):
    """A group of its own that lost nobody is no reason to say less than is known."""
    kills = OomCounters(str(tmp_path), str(tmp_path / "own"), machine(tmp_path, 0))
    machine(tmp_path, 1)
    assert "this machine" in kills.hint()


def test_where_there_are_no_counters_nothing_is_reported(tmp_path):
    """Other systems, and containers that show none."""
    assert OomCounters(*[str(tmp_path / "none")] * 3).hint() == ""
