"""The constructor's arguments are those of `ProcessPoolExecutor`, and what it refuses is refused in the same way."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy
import pytest

import millpond
from millpond.executor.standard import processes
from tests.executor.work import WAIT_S, die, fail_to_initialize, initialize, pid_of, square, what_was_set

SPAWN = multiprocessing.get_context("spawn")
FORK = multiprocessing.get_context("fork")
WRONG = {
    "none": ((0,), {}),
    "fewer than none": ((-1,), {}),
    "a part": ((2.5,), {}),
    "no part": ((0.0,), {}),
    "text": (("2",), {}),
    "an initializer that is none": ((2, None, "no function"), {}),
    "no context": ((2, "spawn"), {}),
    "no tasks": ((2, SPAWN), {"max_tasks_per_child": 0}),
    "a part of a task": ((2, SPAWN), {"max_tasks_per_child": 1.5}),
    "tasks with fork": ((2, FORK), {"max_tasks_per_child": 3}),
    "tasks by position": ((2, None, None, (), 3), {}),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_standard_library_refuses_is_refused_with_its_exception(case):
    """Before anything starts."""
    args, given = WRONG[case]
    with pytest.raises((TypeError, ValueError, AttributeError)) as stock:
        futures.ProcessPoolExecutor(*args, **given)
    with pytest.raises(stock.type):
        millpond.Executor(*args, **given)


def settings_of(*args, **given):
    return millpond.Executor(*args, **given)._pool.settings


@pytest.mark.parametrize("workers", [2, numpy.int64(2)])
def test_numbers_are_what_counts_as_one(workers):
    """numpy's too."""
    settings = settings_of(workers, max_tasks_per_child=workers)
    assert (settings.max_workers, settings.min_workers, settings.max_calls) == (2, 2, 2)
    assert {type(settings.max_workers), type(settings.max_calls)} == {int}
    assert settings_of(True).max_workers == 1


@pytest.mark.parametrize(("context", "method"), [("fork", "fork"), ("forkserver", "fork"), ("spawn", "spawn")])
def test_a_context_chooses_the_start_method(context, method):
    """Workers are forked by the warden, which is what multiprocessing calls a fork server."""
    given = multiprocessing.get_context(context)
    assert settings_of(2, given).start_method == method
    assert millpond.Executor(2, mp_context=given)._mp_context is given
    assert settings_of(2, mp_context=None).start_method == "fork"


def test_without_a_context_it_shows_the_one_whose_queues_can_be_sent_to_its_workers():
    """Nothing is inherited by them, however they are started."""
    assert millpond.Executor(2)._mp_context.get_start_method() == "spawn"
    assert millpond.Executor(2, max_tasks_per_child=3)._mp_context.get_start_method() == "spawn"


def test_a_context_of_another_kind_is_refused():
    """Where none of the ways to start workers fits."""

    class Loky:
        def get_start_method(self, allow_none=True):
            return "loky"

    with pytest.raises(ValueError, match="mp_context must be one of fork, forkserver, spawn, not 'loky'"):
        millpond.Executor(2, Loky())


def test_the_same_thing_said_twice_is_refused():
    """By the standard library's name and by the setting's."""
    with pytest.raises(TypeError, match="mp_context and start_method are the same"):
        millpond.Executor(2, SPAWN, start_method="fork")
    with pytest.raises(TypeError, match="max_tasks_per_child and max_calls are the same"):
        millpond.Executor(2, max_tasks_per_child=3, max_calls=3)


def test_it_can_be_pickled_as_little_as_the_standard_one():
    """The same exception says so."""
    for made in (futures.ProcessPoolExecutor(1), millpond.Executor(1)):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(made)


def test_what_programs_read_of_it_is_there(caplog):
    """Names that are private to the standard library and read all the same; and its events are logged at DEBUG."""
    caplog.set_level(logging.DEBUG, "millpond.events")
    with millpond.Executor(2, None, initialize, ["set"]) as executor:
        assert (executor._max_workers, executor._processes, bool(executor._broken)) == (2, {}, False)
        assert executor.submit(what_was_set).result(WAIT_S) == ["set"]
        assert set(executor.map(pid_of, range(100))) <= executor._processes.keys()
        assert len(executor._processes) == 2
        assert not executor._shutdown_thread
    assert executor._shutdown_thread
    levels = {record.levelno for record in caplog.records if record.name == "millpond.events"}
    assert levels == {logging.DEBUG}


def test_workers_are_replaced_after_so_many_calls():
    """As `max_tasks_per_child` says."""
    with millpond.Executor(1, max_tasks_per_child=2) as executor:
        pids = [executor.submit(pid_of, number).result(WAIT_S) for number in range(4)]
    assert len(set(pids)) == 2


@pytest.mark.parametrize("function", [die, square])
def test_what_breaks_a_standard_pool_is_caught_as_there(function):
    """A program that catches `BrokenProcessPool` has imported it; copies and pickles are what they were."""
    given = {} if function is die else {"initializer": fail_to_initialize}
    with millpond.Executor(1, **given) as executor:
        error = executor.submit(function, *[2] * (function is square)).exception(WAIT_S)
        for one in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert isinstance(one, BrokenProcessPool)
            assert isinstance(one, millpond.WorkerDied if function is die else millpond.StartFailed)
            assert (one.code, str(one)) == (error.code, str(error))
        if function is square:
            with pytest.raises(BrokenProcessPool):
                executor.submit(square, 2)


def test_nobody_else_loads_multiprocessing_for_it():
    """Who has not imported that class gets Millpond's own."""
    program = """
import sys, millpond
from tests.executor.work import die
with millpond.Executor(1) as executor:
    error = executor.submit(die).exception(20)
print(type(error).__name__, "multiprocessing" in sys.modules)
"""
    environment = {"PYTHONPATH": f"{Path(millpond.__file__).parents[1]}:{Path(__file__).parents[2]}"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "WorkerDied False\n"


def test_a_process_is_shown_as_multiprocessing_shows_one():
    """It can be asked, waited for and ended, whoever's child it is; one that has ended is left in peace."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        (shown,) = processes([child.pid, os.getpid() + 2**22]).values()
        assert (shown.pid, shown.ident, shown.is_alive()) == (child.pid, child.pid, True)
        shown.join(0.01)
        assert shown.is_alive()
        shown.terminate()
        assert child.wait(WAIT_S) == -signal.SIGTERM
        shown.join(WAIT_S)
        shown.kill()
        shown.terminate()
        assert not shown.is_alive()
