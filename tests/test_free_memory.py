"""How much memory is left: the machine's or a container's, whichever is less."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.free_memory import free_bytes

MACHINE = "MemTotal: 100 kB\nMemAvailable: 50 kB\n"


def left(tmp_path: Path, own: str, files: dict[str, str], machine: str = MACHINE) -> int | None:
    """What is left where the files say so."""
    (tmp_path / "own").write_text(own)
    (tmp_path / "machine").write_text(machine)
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return free_bytes(str(tmp_path / "mount"), str(tmp_path / "own"), str(tmp_path / "machine"))


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("", {}, 51_200),
        ("0::/\n", {"memory.max": "max", "memory.current": "5"}, 51_200),
        ("0::/a\n", {"a/memory.max": "30000", "a/memory.current": "10000"}, 20_000),
        (
            "0::/a\n",
            {"a/memory.max": "30000", "a/memory.current": "30000", "a/memory.stat": "anon 1\ninactive_file 4000"},
            4_000,
        ),
        ("0::/a/b\n", {"a/memory.max": "10", "a/memory.current": "20"}, 0),
        ("3:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9", "memory/x/memory.usage_in_bytes": "4"}, 5),
        ("3:cpu:/x\n", {"memory.max": "9", "memory.current": "4"}, 51_200),
    ],
)
def test_the_tightest_limit_counts(tmp_path, own, files, expected):
    """Of the machine and each control group above this process; what the kernel can take back is left."""
    assert left(tmp_path, own, files) == expected


def test_where_nobody_says_it_is_unknown(tmp_path):
    """Without the files of Linux there is no number."""
    assert left(tmp_path, "", {}, machine="") is None


def test_this_machine_has_some():
    """Wherever the tests run."""
    assert free_bytes()
