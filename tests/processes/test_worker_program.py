"""The worker's program as a process: how it starts, what it survives, and how it ends."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time

import msgspec
import pytest

from millpond.wire import frames
from tests.processes.worker_rig import WAIT_S, RealWorker


class Handler:
    """Does what handlers should not."""

    def __init__(self, *args):
        self.args = args

    def teardown(self):
        print("torn down", flush=True)

    def ping(self):
        return os.getpid()

    def linger(self):
        threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()

    def helper(self):
        return os.posix_spawn("/bin/sleep", ["sleep", "300"], {}, setsid=True)

    def fork_and_return(self):
        child = os.fork()
        if child == 0:
            return "from the child"
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def fork_and_exit(self, code):
        child = os.fork()
        if child == 0:
            sys.exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def fork_and_raise(self):
        child = os.fork()
        if child == 0:
            raise KeyError("in the child")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def fork_and_yield(self):
        child = os.fork()
        yield child
        if child:
            os.waitpid(child, 0)

    def fork_and_log(self):
        child = multiprocessing.get_context("fork").Process(target=logging.getLogger("child").warning, args=("hello",))
        child.start()
        child.join()
        return child.exitcode

    def close_output(self):
        os.close(1)
        os.close(2)

    def noise(self):
        sys.stderr.write("x" * 1_000_000)
        os.write(1, b"y" * 1000)
        os.system("echo from a shell")
        return "quiet"

    def exit_at_once(self):
        os._exit(0)

    def sleep(self):
        time.sleep(3600)

    def compute(self):
        while True:
            pass

    def replace_signal(self):
        signal.signal(signal.SIGURG, signal.SIG_IGN)

    def loaded(self, names):
        return [name for name in names if name in sys.modules]


class Broken:
    def __init__(self):
        raise RuntimeError("no cold start today")


class Exiting:
    def setup(self):
        sys.exit("never mind")


@pytest.fixture
def worker_of():
    """Starts workers, and ends what is left of them."""
    workers: list[RealWorker] = []

    def start(handler=Handler, *args, **config):
        workers.append(RealWorker(handler, args, **config))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def wait_until(is_true):
    """Until something that cannot be waited for is so."""
    end = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_worker_says_what_it_offers_serves_and_says_goodbye(worker_of):
    """WARMING, READY with facts and pid, answers, teardown, exit 0."""
    worker = worker_of().ready()
    assert worker.facts["pid"] == worker.process.pid
    assert worker.facts["hooks"] == ["teardown"]
    assert worker.call("ping") == worker.process.pid
    worker.frame(frames.BYE)
    assert worker.exit_code() == 0
    assert worker.process.stdout.read() == b"torn down\n"


@pytest.mark.parametrize(("handler", "words"), [(Broken, "no cold start today"), (Exiting, "never mind")])
def test_a_start_that_fails_is_told_with_the_users_traceback_last(worker_of, handler, words):
    """Exit code 1, and the parent knows why."""
    worker = worker_of(handler)
    _, body = worker.next_frame(frames.START_FAILED)
    told = msgspec.msgpack.decode(body)
    assert words in told["text"]
    assert words in told["traceback"].splitlines()[-1]
    assert worker.exit_code() == 1


def test_a_worker_whose_parent_is_gone_leaves_at_once(worker_of):
    """Even if a thread of the handler's, no daemon, would hold the process for an hour."""
    worker = worker_of().ready()
    worker.call("linger")
    worker.socket.close()
    assert worker.exit_code() == 1


def test_a_worker_whose_parent_is_gone_ends_its_helpers_before_it_leaves(worker_of):
    """Whoever would adopt them may be dead as well; they left its session, and nothing tells whose they are."""
    from tests.processes.engine_rig import lives  # not at the top: workers import this module

    worker = worker_of().ready()
    helper = worker.call("helper")
    worker.socket.close()
    assert worker.exit_code() == 1
    wait_until(lambda: not lives(helper))


def test_goodbye_does_not_wait_for_lingering_threads(worker_of):
    """The same on the friendly way."""
    worker = worker_of().ready()
    worker.call("linger")
    worker.frame(frames.BYE)
    assert worker.exit_code() == 0


def test_a_forked_child_never_answers(worker_of):
    """A child that returns, exits or raises out of the operation leaves; the parent's answer is the only one."""
    worker = worker_of().ready()
    assert worker.call("fork_and_return") == 0
    assert worker.call("fork_and_exit", 3) == 3
    assert worker.call("fork_and_raise") == 1
    assert worker.call("ping") == worker.process.pid


def test_a_forked_child_gives_no_items(worker_of):
    """A stream goes on in the parent only."""
    worker = worker_of().ready()
    worker.send("fork_and_yield")
    _, body = worker.next_frame(frames.ITEM)
    assert worker.codec.decode(body) > 0
    assert worker.answer() == (frames.OK, None)
    assert worker.call("ping") == worker.process.pid


def test_a_forked_childs_log_goes_to_stderr(worker_of):
    """Two writers on one socket would mix their frames."""
    worker = worker_of().ready()
    assert worker.call("fork_and_log") == 0
    worker.frame(frames.BYE)
    worker.exit_code()
    assert "WARNING:child:hello" in worker.read_stderr()
    assert all(fields[1] != frames.LOG for fields, _ in worker._frames)


def test_a_handler_may_close_its_output(worker_of):
    """Nothing of the protocol is there."""
    worker = worker_of().ready()
    worker.call("close_output")
    assert worker.call("ping") == worker.process.pid
    worker.frame(frames.BYE)
    assert worker.exit_code() == 0


def test_noise_on_every_channel_stays_out_of_the_protocol(worker_of):
    """As long as the pipes are read, which is the engine's part."""
    worker = worker_of().ready()
    written = []
    threads = [
        threading.Thread(target=lambda stream=stream: written.append(stream.read()))
        for stream in (worker.process.stdout, worker.process.stderr)
    ]
    for thread in threads:
        thread.start()
    assert worker.call("noise") == "quiet"
    worker.frame(frames.BYE)
    worker.exit_code()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(map(len, written))[1] == 1_000_000


@pytest.mark.parametrize("operation", ["sleep", "compute"])
def test_a_signal_from_outside_stops_the_operation(worker_of, operation):
    """In a native sleep as in a loop of Python; the process serves on."""
    worker = worker_of().ready()
    call_id = worker.send(operation)
    worker.wait_claimed(call_id)
    answered = threading.Event()

    def nag():
        while not answered.wait(0.05):
            worker.interrupt(call_id)

    nagging = threading.Thread(target=nag)
    nagging.start()
    kind, _ = worker.answer()
    answered.set()
    nagging.join()
    assert kind == frames.INTERRUPTED
    assert worker.call("ping") == worker.process.pid


def test_an_interrupt_works_after_the_handler_replaced_its_signal(worker_of):
    """It is taken back with the next read of the socket."""
    worker = worker_of().ready()
    worker.call("replace_signal")
    call_id = worker.send("sleep")
    worker.wait_claimed(call_id)
    answered = threading.Event()

    def nag():
        while not answered.wait(0.05):
            worker.interrupt(call_id)

    nagging = threading.Thread(target=nag)
    nagging.start()
    kind, _ = worker.answer()
    answered.set()
    nagging.join()
    assert kind == frames.INTERRUPTED


def test_a_limit_with_an_unknown_name_fails_the_start(worker_of):
    """The message has the names there are."""
    told = msgspec.msgpack.decode(worker_of(rlimits={"NOFILES": 1}).next_frame(frames.START_FAILED)[1])
    assert "NOFILE," in told["text"]


def test_a_plain_worker_loads_next_to_nothing(worker_of):
    """What is not needed for calls costs start time and memory in every worker."""
    worker = worker_of(threads=2).ready()
    heavy = ["asyncio", "numpy", "psutil", "cloudpickle", "concurrent.futures.process", "ssl", "threadpoolctl"]
    assert worker.call("loaded", heavy) == []


def test_the_heart_beats_while_python_runs(worker_of):
    """Also in the middle of an operation."""
    worker = worker_of().ready()
    worker.send("sleep")
    first = worker.logbook.heartbeat()
    assert first > 0
    wait_until(lambda: worker.logbook.heartbeat() > first)
