"""Examples are programs: each is run in a process of its own, and prints what the page says it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Example, examples
from tests.needs import need

LIMIT_S = 120
EXAMPLES = [example for name, page in PAGES.items() for example in examples(name, page)]
PLAY = Path(__file__).parent / "play.py"
NEEDED = {"docs/dspy.md": "dspy"}


def run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=LIMIT_S)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if not e.not_run], ids=str)
def test_an_example_runs_and_prints_what_it_says(example: Example, tmp_path):
    """Whoever copies an example gets what the page promises, and no warning."""
    need(*NEEDED.get(example.page, "").split())
    program = tmp_path / "example.py"
    program.write_text(example.program)
    ended = run([sys.executable, str(PLAY), str(program)], tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    printed = iter(ended.stdout.splitlines())
    missing = [told for told in example.told if told not in printed]  # `in` takes from the iterator: the order counts
    assert missing == []


def test_the_readmes_first_example_runs_as_written(tmp_path):
    """Copied into a file and started, it prints the numbers that the text below it names."""
    first = next(example for example in EXAMPLES if example.page == "README.md")
    assert not first.preamble
    program = tmp_path / "example.py"
    program.write_text(first.code)
    ended = run([sys.executable, str(program)], tmp_path)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["9", "2", "2", "3"], "")


def test_the_readmes_first_example_is_short():
    """Fifteen lines of code are what a newcomer reads."""
    first = next(example for example in EXAMPLES if example.page == "README.md")
    assert sum(bool(line.strip()) for line in first.code.splitlines()) <= 15
