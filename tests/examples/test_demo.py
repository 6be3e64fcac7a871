"""The demo as somebody runs it: its options, and end to end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import psutil
import pytest

from examples.demo import __main__ as program
from tests.processes.engine_rig import until_sync

COMMAND = [sys.executable, "-u", "-m", "examples.demo", "--plain", "--sessions", "40"]
UPPER_BOUND_S = 100.0  # for a machine that is busy with other things


def figure(output: str, name: str) -> int:
    """A figure of the summary."""
    found = re.search(rf"^{name}\s+([\d,]+)", output, re.MULTILINE)
    assert found, output
    return int(found[1].replace(",", ""))


@pytest.fixture
def interrupted():
    """Runs the demo, sends it SIGINT when it has said `word`, and gives exit code, output and the processes it had."""

    def run(word: str) -> tuple[int, str, list[psutil.Process]]:
        with subprocess.Popen(
            [*COMMAND, "--seconds", "300"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as demo:
            assert demo.stdout is not None
            seen = ""
            for line in demo.stdout:
                seen += line
                if word in line:
                    break
            family = psutil.Process(demo.pid).children(recursive=True)
            demo.send_signal(signal.SIGINT)
            seen += demo.stdout.read()
            return demo.wait(UPPER_BOUND_S), seen, family

    return run


@pytest.mark.parametrize(
    "tokens", [["--seconds", "1"], ["--sessions", "0"], ["--workers", "65"], ["--seconds", "soon"], ["--speed", "9"]]
)
def test_an_option_out_of_range_starts_nothing(tokens, capsys):
    """Bad options end with exit code 2 and a message that names the option."""
    with pytest.raises(SystemExit) as ended:
        program.main(tokens)
    assert ended.value.code == 2
    assert tokens[0] in capsys.readouterr().err


def test_a_missing_library_is_named_as_it_is_installed(monkeypatch, capsys):
    """Exit code 2 and one line, no traceback."""
    monkeypatch.setattr(program, "NEEDS", {"no_such_module": "some-package"})
    assert program.main([]) == 2
    assert capsys.readouterr().err == "demo: this needs some-package: pip install 'millpond[demo]'\n"


def test_a_killed_worker_costs_no_wrong_answer():
    """The short demo: one worker lost, sessions told and reopened, no answer wrong, exit code 0."""
    ran = subprocess.run([*COMMAND, "--seconds", "3"], capture_output=True, text=True, timeout=UPPER_BOUND_S)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert figure(ran.stdout, "workers lost") == 1
    assert figure(ran.stdout, "wrong answers") == figure(ran.stdout, "wrong scores") == 0
    assert figure(ran.stdout, "sessions lost") > 0
    assert figure(ran.stdout, "calls") > 0
    assert "calls failed" not in ran.stdout


@pytest.mark.parametrize("word", ["cold start", "serving"])
def test_an_interrupt_ends_it_with_the_summary_so_far(interrupted, word):
    """No traceback, no process left, whether it was starting or serving."""
    code, seen, family = interrupted(word)
    assert code == 0, seen
    assert "Ended early." in seen
    assert "Traceback" not in seen
    assert family or word == "cold start"
    until_sync(lambda: not any(process.is_running() for process in family))
