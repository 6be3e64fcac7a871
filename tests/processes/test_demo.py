"""The demo as somebody runs it, end to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.processes.engine_rig import until_sync

COMMAND = [sys.executable, "-u", "-m", "millpond.cli", "demo", "--plain", "--port", "0", "--sessions", "40"]
UPPER_BOUND_S = 100.0  # for a machine that is busy with other things
PAGE, TOKEN = r"page is at (http://\S+);", r"MILLPOND_TOKEN_FILE=(\S+)"


def figures(output: str, name: str) -> list[int]:
    """A figure of the summary, of each pool."""
    found = re.search(rf"^{name} +([\d,]+) +([\d,]+)", output, re.MULTILINE)
    assert found, output
    return [int(one.replace(",", "")) for one in found.groups()]


@pytest.fixture
def environ(tmp_path):
    """One in which nothing of this user is found, and what is left behind is seen."""
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(tmp_path)}


@pytest.fixture
def demo(environ):
    """Starts a demo that does not end by itself, and ends it in any case."""
    with subprocess.Popen(
        [*COMMAND, "--seconds", "3600"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
    ) as process:
        yield process
        process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """What it says until it says that."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if word in line:
            return seen
    raise AssertionError(seen)


def end_of(process: subprocess.Popen[str], *signals: int) -> tuple[int, str]:
    """Its exit code and what it still says after these signals."""
    assert process.stdout is not None
    for signo in signals:
        process.send_signal(signo)
    rest = process.stdout.read()
    return process.wait(UPPER_BOUND_S), rest


def test_a_killed_worker_costs_no_wrong_answer(environ, tmp_path: Path):
    """A worker of each pool dies: no session of the one is lost, those of the other are told so, no answer is wrong."""
    command = [*COMMAND, "--seconds", "9"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=UPPER_BOUND_S, env=environ)
    said = ran.stdout
    assert (ran.returncode, ran.stderr) == (0, ""), said
    assert figures(said, "workers killed") == [1, 1]
    assert figures(said, "wrong answers") == figures(said, "wrong scores") == [0, 0]
    assert min(figures(said, "answered")) > 0
    assert figures(said, "sessions lost")[0] == figures(said, "sessions kept")[1] == 0
    assert figures(said, "sessions lost")[1] > 0
    assert figures(said, "sessions kept")[0] > 0
    assert re.findall(r"phase (\w+), ", said)[:4] == ["quiet", "bursts", "overload", "quiet"]
    assert "Every answer was right" in said
    assert list(tmp_path.iterdir()) == []


def test_programs_can_ask_the_server_that_is_shown(demo):
    """The address is told before the model is trained, with a login that works once; an interrupt ends all of it."""
    seen = read_until(demo, "cold start")
    address, token = re.search(PAGE, seen)[1], Path(re.search(TOKEN, seen)[1]).read_text().strip()
    assert f"{address}/login#" in seen
    request = urllib.request.Request(f"{address}/v1/pools", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=UPPER_BOUND_S) as answer:
        assert {"digits", "digits-plain"} == {pool["name"] for pool in json.load(answer)["pools"]}
    read_until(demo, "phase quiet")
    family = psutil.Process(demo.pid).children(recursive=True)
    code, rest = end_of(demo, signal.SIGINT)
    assert code == 0, rest
    assert "Ended early." in rest
    assert "Traceback" not in rest
    assert family
    until_sync(lambda: not any(process.is_running() for process in family))


def test_an_interrupt_during_the_start_ends_it_at_once(demo, tmp_path: Path):
    """With a summary that says that nothing was served, and no process left."""
    read_until(demo, "cold start")
    family = psutil.Process(demo.pid).children(recursive=True)
    code, rest = end_of(demo, signal.SIGINT)
    assert (code, "Traceback" in rest) == (0, False), rest
    assert "Ended early. Nothing was served." in rest
    until_sync(lambda: not any(process.is_running() for process in family))
    assert [path for path in tmp_path.iterdir() if path.name.startswith("millpond-demo")] == []


def test_a_second_interrupt_does_not_wait(demo, tmp_path: Path):
    """Exit code 130, no traceback, nothing left."""
    read_until(demo, "phase quiet")
    family = psutil.Process(demo.pid).children(recursive=True)
    code, rest = end_of(demo, signal.SIGINT, signal.SIGTERM)  # two of a kind could arrive as one
    assert (code, "Traceback" in rest) == (130, False), rest
    until_sync(lambda: not any(process.is_running() for process in family))
    assert [path for path in tmp_path.iterdir() if path.name.startswith("millpond-demo")] == []


def test_a_pool_that_cannot_open_is_told_in_a_sentence(environ, tmp_path: Path):
    """Exit code 4, the error of the import and where it was raised, no traceback of ours, and nothing left."""
    broken = tmp_path / "sklearn"
    broken.mkdir()
    (broken / "__init__.py").write_text('raise ImportError("libfoo.so is not there")\n')
    ran = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=UPPER_BOUND_S, env={**environ, "PYTHONPATH": str(tmp_path)}
    )
    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert "its handler cannot be loaded: ImportError: libfoo.so is not there" in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    assert list(tmp_path.iterdir()) == [broken]
