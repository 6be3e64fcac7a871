"""How many cores there are: a container's quota and the affinity count, whichever allows less."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from millpond.cores import cores, quota
from millpond.settings import Settings

V1 = {"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"}


def found(tmp_path: Path, own: str, files: dict[str, str]) -> float:
    """The quota where the control groups are as told."""
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return quota(str(tmp_path / "mount"), str(tmp_path / "own"))


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/\n", {"cpu.max": "max 100000"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3.0),
        ("0::/outside/only\n", {"cpu.max": "200000 100000"}, 2.0),
        ("4:cpu,cpuacct:/\n0::/\n", {f"cpu,cpuacct/{name}": text for name, text in V1.items()}, 1.5),
        ("4:cpuacct,cpu:/x\n", {f"cpu/x/{name}": text for name, text in V1.items()}, 1.5),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("5:cpuset:/\n0::/\n", {"unified/cpu.max": "100000 100000"}, 1.0),
        ("0::/\n", {"cpu.max": "half of it"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_the_tightest_quota_above_a_process_counts(
    tmp_path: Path, own: str, files: dict[str, str], expected: float
) -> None:
    """Of both versions of control groups, inside a container and outside; what says nothing bounds nothing."""
    assert found(tmp_path, own, files) == expected


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (1.0, 1), (1.5, 2), (1e6, len(os.sched_getaffinity(0)))])
def test_a_part_of_a_core_counts_as_the_whole(monkeypatch: pytest.MonkeyPatch, share: float, count: int) -> None:
    """There is one core at least, and never more than the process may run on."""
    monkeypatch.setattr("millpond.cores.quota", lambda: share)
    assert cores() == min(count, len(os.sched_getaffinity(0)))


def test_workers_and_their_threads_default_to_what_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ceiling of the pool is the cores, and they are shared out between its workers' threads."""
    monkeypatch.setattr("millpond.cores.quota", lambda: 0.5)
    assert Settings().max_workers == 1
    assert Settings(max_workers=1).threads == 1


def test_the_affinity_counts() -> None:
    """A process bound to one core has one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert Settings().max_workers == Settings(max_workers=1).threads == 1
    finally:
        os.sched_setaffinity(0, before)
