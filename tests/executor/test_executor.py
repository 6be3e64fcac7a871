"""The executor does what `concurrent.futures` documents: where a test takes `executor_of`, both have to pass it."""

from __future__ import annotations

import asyncio
import datetime
import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
import traceback
from concurrent import futures
from pathlib import Path

import pytest

import millpond
from tests.executor.work import (
    WAIT_S,
    Gate,
    Refuses,
    fail,
    fail_after_setting_up_logging,
    fail_to_initialize,
    initialize,
    power,
    square,
    stay,
    throw,
    throw_noted,
    what_was_set,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gate(tmp_path):
    """A closed gate; opened when the test is over, so that nothing stays."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture(params=["standard library", "millpond"])
def executor_of(request):
    """Makes an executor of each kind; shut down after the test."""
    made = []

    def make(workers=1, **given):
        if request.param == "millpond":
            made.append(millpond.Executor(workers, **given))
        else:
            made.append(futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), **given))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown()


def test_results_exceptions_and_arguments(executor_of):
    """`submit` gives a future of the result, or of the exception with the worker's traceback as its cause."""
    executor = executor_of()
    assert executor.submit(power, 2, exponent=5).result(WAIT_S) == 32
    error = executor.submit(fail, "what it said").exception(WAIT_S)
    assert type(error) is ValueError
    assert error.args == ("what it said",)
    assert "raise ValueError(text)" in "".join(traceback.format_exception(error))
    assert "raise ValueError(text)" in error.__cause__.tb


def test_exceptions_arrive_as_they_were_raised(executor_of):
    """Exits and interrupts too, and with arguments that only pickle carries; the traceback is the cause."""
    executor = executor_of()
    for raised in (
        SystemExit(3),
        KeyboardInterrupt("x"),
        GeneratorExit("x"),
        StopIteration(3),
        asyncio.CancelledError("x"),
        futures.CancelledError("x"),
        BaseExceptionGroup("group", [KeyboardInterrupt("x"), ExceptionGroup("inner", [KeyError(2)])]),
        ValueError(datetime.date, Gate(Path("x"))),
    ):
        error = executor.submit(throw, raised).exception(WAIT_S)
        assert (type(error), repr(error)[:20]) == (type(raised), repr(raised)[:20])
        assert list(map(type, error.args)) == list(map(type, raised.args))
        assert "in throw" in error.__cause__.tb
    noted = executor.submit(throw_noted, "a note").exception(WAIT_S)
    assert (type(noted), noted.__notes__) == (ValueError, ["a note"])


def test_what_cannot_be_pickled_is_told_as_pickle_says_it(executor_of):
    """An argument, a result, and what is no function; the worker goes on."""
    executor = executor_of()
    for failed in (executor.submit(square, threading.Lock()), executor.submit(threading.Lock)):
        error = failed.exception(WAIT_S)
        assert type(error) is TypeError
        assert str(error).startswith("cannot pickle '_thread.lock' object")  # Millpond's goes on and says where
        assert "cannot pickle" in error.__cause__.tb
    refused = executor.submit(square, Refuses()).exception(WAIT_S)
    assert type(refused) is pickle.PicklingError
    assert str(refused).startswith("stays where it is")
    uncalled = executor.submit(5).exception(WAIT_S)
    assert (type(uncalled), str(uncalled)) == (TypeError, "'int' object is not callable")
    assert executor.submit(square, 3).result(WAIT_S) == 9


def test_map_is_ordered_whatever_the_chunks(executor_of):
    """Several iterables, ended by the shortest; chunks change nothing about the results."""
    executor = executor_of(2)
    assert list(executor.map(power, [1, 2, 3], [2, 3])) == [1, 8]
    for chunksize in (1, 4, 1000):
        assert list(executor.map(square, range(20), chunksize=chunksize)) == [n * n for n in range(20)]
    assert list(executor.map(square, [], chunksize=3)) == []
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        executor.map(square, [1], chunksize=0)
    results = executor.map(int, ["1", "two", "3"])
    assert next(results) == 1
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_map_times_out(executor_of, gate):
    """`timeout` counts from the call of `map`."""
    executor = executor_of()
    results = executor.map(stay, [gate.path], timeout=0.1)
    with pytest.raises(futures.TimeoutError):
        next(results)


def test_wait_and_as_completed_work_with_its_futures(executor_of, gate):
    """They are `concurrent.futures` futures."""
    executor = executor_of(2)
    staying = executor.submit(stay, gate.path, "stayed")
    quick = executor.submit(square, 3)
    assert next(futures.as_completed([staying, quick], WAIT_S)) is quick
    done, not_done = futures.wait([staying, quick], WAIT_S, return_when=futures.FIRST_COMPLETED)
    assert (done, not_done) == ({quick}, {staying})
    gate.open()
    assert {future.result() for future in futures.as_completed([staying, quick], WAIT_S)} == {9, "stayed"}


def test_callbacks_are_called_once_with_the_future(executor_of):
    """Before or after it is done; one that raises is logged, and the others are called."""
    executor = executor_of()
    called, all_called = [], threading.Event()
    future = executor.submit(square, 2)
    future.add_done_callback(lambda done: called.append(done.result()))
    future.add_done_callback(lambda done: all_called.set())
    assert all_called.wait(WAIT_S)
    future.add_done_callback(lambda done: called.append("late"))
    assert called == [4, "late"]


def test_a_running_call_cannot_be_cancelled_and_a_pending_one_never_runs(executor_of, gate):
    """As `Future.cancel` says by its answer."""
    executor = executor_of()
    running = executor.submit(stay, gate.path, "running")
    gate.wait_entered()
    assert running.running()
    assert not running.cancel()
    # The standard library keeps a few calls in a queue of the worker's, from where none comes back.
    pending = [executor.submit(stay, gate.path, number) for number in range(10)]
    assert pending[-1].cancel()
    assert pending[-1].cancel()
    assert pending[-1].cancelled()
    with pytest.raises(futures.CancelledError):
        pending[-1].result(WAIT_S)
    gate.open()
    assert running.result(WAIT_S) == "running"
    assert [future.result(WAIT_S) for future in pending[:-1]] == list(range(9))
    assert "9" not in gate.ran()


def test_after_shutdown_nothing_is_taken_and_everything_was_finished(executor_of):
    """`shutdown(wait=True)` returns when the last pending call has its result; `with` does the same."""
    executor = executor_of(2)
    pending = [executor.submit(square, number) for number in range(50)]
    executor.shutdown()
    assert all(future.done() for future in pending)
    assert [future.result() for future in pending] == [number * number for number in range(50)]
    for argument in (1, threading.Lock()):  # whether it could be sent or not
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(square, argument)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(square, [1])
    executor.shutdown()
    with executor_of() as other:
        future = other.submit(square, 3)
    assert future.done()


def test_shutdown_without_waiting_finishes_behind_the_callers_back(executor_of, gate):
    """What is pending is done all the same."""
    executor = executor_of()
    pending = [executor.submit(stay, gate.path, number) for number in range(3)]
    gate.wait_entered()
    executor.shutdown(wait=False)
    assert not any(future.done() for future in pending)
    gate.open()
    assert [future.result(WAIT_S) for future in pending] == [0, 1, 2]


def test_shutdown_may_cancel_what_has_not_begun(executor_of, gate):
    """What runs is finished, what waits is cancelled and never runs."""
    executor = executor_of()
    pending = [executor.submit(stay, gate.path, number) for number in range(20)]
    gate.wait_entered()
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(futures.CancelledError):
        pending[-1].result(WAIT_S)
    gate.open()
    assert pending[0].result(WAIT_S) == 0
    end = time.monotonic() + WAIT_S  # not `wait`: the standard library's never returns for some of the cancelled
    while not all(future.done() for future in pending):
        assert time.monotonic() < end
        time.sleep(0.003)
    assert len(gate.ran()) < 20
    assert sum(future.cancelled() for future in pending) == 20 - len(gate.ran())


def test_an_initializer_runs_in_each_worker(executor_of):
    """Before its first call, with its arguments."""
    executor = executor_of(initializer=initialize, initargs=("set",))
    assert executor.submit(what_was_set).result(WAIT_S) == ["set"]
    with pytest.raises(TypeError, match="initializer must be a callable"):
        executor_of(initializer="no function")


def test_a_failing_initializer_breaks_the_executor(executor_of, caplog):
    """All that is pending, and every later submit, raises `BrokenExecutor`."""
    executor = executor_of(initializer=fail_to_initialize)
    pending = [executor.submit(square, number) for number in range(3)]
    for future in pending:
        assert isinstance(future.exception(WAIT_S), futures.BrokenExecutor)
    with pytest.raises(futures.BrokenExecutor):
        executor.submit(square, 1)
    executor.shutdown()


def test_a_failing_initializer_is_logged(executor_of, tmp_path):
    """By the logger `concurrent.futures`, in the worker, with the handlers it has there."""
    log = tmp_path / "log"
    executor = executor_of(initializer=fail_after_setting_up_logging, initargs=(log,))
    assert isinstance(executor.submit(square, 1).exception(WAIT_S), futures.BrokenExecutor)
    assert "Exception in initializer:" in log.read_text()
    assert "ValueError: no licence for this machine" in log.read_text()


EXITING = """
import time
from tests.executor.work import stay
from millpond import Executor

def note(future):
    print("done", future.result(), flush=True)

if __name__ == "__main__":
    executor = Executor(1)
    for number in range(5):
        executor.submit(pow, number, 2).add_done_callback(note)
    {ending}
    print("main ends", flush=True)
"""


@pytest.mark.parametrize("ending", ["pass", "executor.shutdown(wait=False)", "del executor"])
def test_the_interpreters_exit_finishes_pending_work(tmp_path, ending):
    """A program that just ends loses nothing it has submitted, and does not hang."""
    script = tmp_path / "script.py"
    script.write_text(EXITING.format(ending=ending))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": f"{Path(millpond.__file__).parents[1]}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {line for line in lines if line.startswith("done")} == {f"done {n * n}" for n in range(5)}
    assert "main ends" in lines


FORKING = """
import os
from concurrent.futures import BrokenExecutor
from millpond import Executor

with Executor(1) as executor:
    assert executor.submit(pow, 2, 3).result() == 8
    if not (child := os.fork()):
        try:
            executor.submit(pow, 2, 3)
        except BrokenExecutor:
            executor.shutdown()
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert executor.submit(pow, 2, 3).result() == 8
"""


def test_in_a_forked_child_it_refuses_instead_of_hanging():
    """The workers are the parent's, who goes on using them."""
    environment = {"PYTHONPATH": str(Path(millpond.__file__).parents[1]), "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", FORKING], env=environment, check=True, timeout=60)
