"""`durability="disk"`: what was acknowledged survives SIGKILL of the whole program."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from tests.processes.disk_program import SESSIONS

ROOT = Path(__file__).parent.parent.parent
KILLS = 4
COUNTS = 2  # of each session in each program, at least


def run_until_killed(path: Path, lines: int) -> list[list[str]]:
    """What one program says, to the end of its last whole line; it is killed after so many, each session's two counts
    among them."""
    command = [sys.executable, "-m", "tests.processes.disk_program", str(path)]
    said: list[list[str]] = []
    counts = Counter(dict.fromkeys(map(str, range(SESSIONS)), 0))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        for line in program.stdout:
            if line.endswith("\n"):
                said.append(line.split())
                counts[said[-1][1]] += said[-1][0] == "counted"
            if len(said) >= lines and min(counts.values()) >= COUNTS:
                program.send_signal(signal.SIGKILL)
    return said


def test_no_acknowledged_update_is_lost_with_the_program(tmp_path):
    """Killed at random, again and again: each session goes on from its last acknowledged count, or one beyond it.

    One beyond: the last call may have been committed and not been told. And each restoration is told, once.
    """
    seed = 4
    random, acknowledged = Random(seed), dict.fromkeys(map(str, range(SESSIONS)), 0)
    for attempt in range(KILLS):
        said = run_until_killed(tmp_path / "sessions.db", 3 * SESSIONS + random.randrange(300))
        began = {words[1]: int(words[2]) for words in said if words[0] == "has"}
        restored = [words[1] for words in said if words[0] == "restored"]
        for name, value in began.items():
            assert acknowledged[name] <= value <= acknowledged[name] + 1, f"seed {seed}, program {attempt}: {said}"
        assert sorted(restored) == (sorted(began) if attempt else [])
        acknowledged |= {words[1]: int(words[2]) for words in said if words[0] == "counted"}
    assert min(acknowledged.values()) >= COUNTS * KILLS
