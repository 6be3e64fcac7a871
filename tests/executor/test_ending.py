"""An executor's workers ended: at once (`terminate_workers`, `kill_workers`), or because nobody names it any more."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import pytest

import millpond
from tests.executor.work import WAIT_S, Gate, die, ignore_termination, square, stay
from tests.leftovers import Leftovers

HOW = {"terminate_workers": signal.SIGTERM, "kill_workers": signal.SIGKILL}


@pytest.fixture
def gate(tmp_path):
    """A closed gate; opened when the test is over, so that nothing stays."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.mark.parametrize("how", HOW)
def test_what_runs_fails_and_what_waits_is_cancelled(gate, how):
    """Whoever waits is told at once, and the workers go without being asked twice."""
    executor = millpond.Executor(2)
    running = [executor.submit(stay, gate.path, number) for number in range(2)]
    gate.wait_entered(2)
    waiting = [executor.submit(stay, gate.path, number) for number in range(2, 5)]
    workers = executor._processes.values()
    getattr(executor, how)()
    for future in running:
        error = future.exception(WAIT_S)
        assert isinstance(error, futures.BrokenExecutor)
        assert error.signal == HOW[how]
    assert all(future.cancelled() or future.exception(WAIT_S) for future in waiting)
    with pytest.raises(RuntimeError):
        executor.submit(square, 1)
    executor.shutdown()
    assert not any(worker.is_alive() for worker in workers)
    assert set(gate.ran()) == {"0", "1"}


@pytest.mark.parametrize("how", HOW)
def test_it_is_fine_when_there_is_nothing_to_end(how):
    """Before the first submit, after a death, and again when all is over."""
    unused = millpond.Executor(1)
    getattr(unused, how)()
    with pytest.raises(RuntimeError, match="after shutdown"):
        unused.submit(square, 1)
    with millpond.Executor(1) as executor:
        assert isinstance(executor.submit(die).exception(WAIT_S), millpond.WorkerDied)
        getattr(executor, how)()
    getattr(executor, how)()


def test_one_that_does_not_heed_the_signal_is_killed_after_the_drain(gate):
    """Nobody waits for it longer."""
    executor = millpond.Executor(1, initializer=ignore_termination, drain=0.1)
    future = executor.submit(stay, gate.path)
    gate.wait_entered()
    (worker,) = executor._processes.values()
    executor.terminate_workers()
    assert isinstance(future.exception(WAIT_S), millpond.WorkerDied)
    executor.shutdown()
    assert not worker.is_alive()


@pytest.mark.parametrize("how", HOW)
def test_workers_that_have_not_started_are_ended_too(gate, how):
    """What was submitted meanwhile fails instead of waiting for them."""
    executor = millpond.Executor(1, initializer=stay, initargs=(gate.path,))
    future = executor.submit(square, 3)
    gate.wait_entered()
    getattr(executor, how)()
    assert futures.wait([future], WAIT_S).done
    assert future.cancelled() or isinstance(future.exception(), futures.BrokenExecutor)
    executor.shutdown()


def test_who_cancelled_what_a_broken_executor_refuses_is_told(gate):
    """Whoever waits for such a future does not wait for ever."""
    executor = millpond.Executor(1, initializer=stay, initargs=(gate.path,))
    cancelled, refused = executor.submit(square, 2), executor.submit(square, 3)
    gate.wait_entered()
    assert cancelled.cancel()
    executor.kill_workers()
    assert futures.wait([cancelled, refused], WAIT_S).not_done == set()
    executor.shutdown()


INTERRUPTED = """
import sys
from tests.executor.work import stay
from millpond import Executor

if __name__ == "__main__":
    executor = Executor(1)
    {use}
"""
USES = {
    "with": "with executor: executor.submit(stay, sys.argv[1]).result()",
    "without": "executor.submit(stay, sys.argv[1]).result()",
    "map": "with executor: list(executor.map(stay, [sys.argv[1]] * 100))",
}


@pytest.mark.parametrize("use", USES)
def test_ctrl_c_interrupts_what_the_workers_run(gate, tmp_path, use):
    """A program that leaves by it does not wait until that would have ended."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.format(use=USES[use]))
    environment = {"PYTHONPATH": f"{Path(millpond.__file__).parents[1]}:{Path(__file__).parents[2]}"}
    command = [sys.executable, str(script), gate.path]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as program:
        gate.wait_entered()
        program.send_signal(signal.SIGINT)
        told = program.communicate(timeout=WAIT_S)[1]
    assert (program.returncode, told.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    assert len(gate.ran()) == 1


def test_an_executor_nobody_names_any_more_ends_though_its_futures_are_kept():
    """As the standard library's does: neither processes nor threads stay behind."""
    before = Leftovers()
    kept = [millpond.Executor(1).submit(square, 3)]
    assert kept[0].result(WAIT_S) == 9
    before.wait_gone()


def test_an_executor_dropped_with_work_pending_finishes_it(gate):
    """What was accepted is done, and then its workers end."""
    before = Leftovers()
    executor = millpond.Executor(1)
    kept = [executor.submit(stay, gate.path, number) for number in range(3)]
    gate.wait_entered()
    del executor
    gc.collect()
    assert kept[2].cancel()
    gate.open()
    assert [future.result(WAIT_S) for future in kept[:2]] == [0, 1]
    before.wait_gone()
