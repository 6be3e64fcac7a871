"""What processes cost, looked at with real ones."""

import contextlib
import mmap
import os
import resource
import subprocess
import sys
import time

import pytest

from millpond.metrics.resources import AT_ONCE, FAMILY_EVERY, WEIGH_EVERY_S, ProcessWatch, count_family, steepest
from millpond.metrics.snapshot import Trend

LIMIT_S = 60.0
MB = 1e6


@pytest.fixture
def children():
    """Starts processes and ends them after the test."""
    started = []

    def start(program="input()"):
        started.append(
            subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def answer(child) -> str:
    return child.stdout.readline().strip()


def test_the_parent_and_each_worker_have_figures(children):
    """Memory, descriptors, threads; shared memory is counted once in PSS."""
    worker = children("print('up', flush=True); input()")
    assert answer(worker) == "up"
    watch = ProcessWatch()
    for now in (0.0, 1.0, 2.0):
        watch.look(now, {7: worker.pid})
    parent, mine = watch.seen.resources.parent, watch.seen.processes[7]
    assert parent.pid == os.getpid()
    assert parent.threads >= 1
    assert parent.fds >= 3
    assert (mine.pid, mine.fds >= 3, mine.threads) == (worker.pid, True, 1)
    assert 0 < mine.pss <= mine.rss
    assert watch.seen.resources.workers_rss == mine.rss
    assert watch.seen.resources.max_fds > 0


def test_processor_time_is_a_share_of_a_core(children):
    """The difference between two looks, over the time between them."""
    worker = children(
        "import time\nprint('up', flush=True)\ninput()\nend = time.process_time() + 0.5\n"
        "while time.process_time() < end: pass\nprint('done', flush=True)\ninput()"
    )
    assert answer(worker) == "up"
    watch = ProcessWatch()
    watch.look(100.0, {1: worker.pid})
    worker.stdin.write("go\n")
    worker.stdin.flush()
    assert answer(worker) == "done"
    watch.look(101.0, {1: worker.pid})
    assert 0.3 < watch.seen.processes[1].cpu < 0.8
    watch.look(102.0, {1: worker.pid})
    assert watch.seen.processes[1].cpu < 0.1


def test_a_few_workers_are_looked_at_in_turn(children):
    """Sixty-four cost no more a look than eight; nobody is passed over for ever."""
    workers = {n: children().pid for n in range(AT_ONCE + 3)}
    watch = ProcessWatch()
    watch.look(0.0, workers)
    assert sum(one.rss > 0 for one in watch.seen.processes.values()) == AT_ONCE
    watch.look(1.0, workers)
    assert all(one.rss > 0 for one in watch.seen.processes.values())


def test_a_heavy_look_is_at_one_process_and_not_often(children):
    """PSS: each process once in ten seconds at most."""
    worker = children()
    watch = ProcessWatch()
    watch.look(0.0, {1: worker.pid})
    first = watch.seen.resources.parent.pss
    assert first > 0
    assert watch.seen.processes[1].pss == -1
    watch.look(1.0, {1: worker.pid})
    assert watch.seen.processes[1].pss > 0
    # In pages of its own: what a large process has freed before may have room for it already.
    ballast = mmap.mmap(-1, 20_000_000)
    ballast.write(os.urandom(len(ballast)))
    watch.look(2.0, {1: worker.pid})
    assert watch.seen.resources.parent.pss == first
    watch.look(WEIGH_EVERY_S, {1: worker.pid})
    assert watch.seen.resources.parent.pss > first + len(ballast) / 2


def test_a_worker_that_is_gone_is_forgotten(children):
    """Whether the pool said so or not."""
    worker, other = children(), children()
    watch = ProcessWatch()
    watch.look(0.0, {1: worker.pid, 2: other.pid})
    worker.kill()
    worker.communicate()
    watch.look(1.0, {1: worker.pid, 2: other.pid})
    assert set(watch.seen.processes) == {2}
    watch.look(2.0, {})
    assert watch.seen.processes == {}
    assert watch.seen.resources.workers_rss == 0


def test_pids_that_are_none_are_no_trouble():
    """A worker that is being started has none yet."""
    watch = ProcessWatch()
    watch.look(0.0, {1: 0, 2: 2**22 + 1, 3: -5})
    assert watch.seen.processes == {}


def test_children_and_zombies_are_counted(children):
    """Grandchildren too: workers are the warden's."""
    before = count_family(os.getpid())
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "dead = subprocess.Popen([sys.executable, '-c', ''])\n"
        "import os; os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)\n"
        "print('up', flush=True); input()"
    )
    assert answer(children(program)) == "up"
    assert count_family(os.getpid()) == (before[0] + 3, before[1] + 1)


def test_a_leak_is_found_in_a_worker(children):
    """Half a megabyte a second of virtual time, told of the pool after five minutes; a quiet worker has no trend."""
    leaking = children(
        "kept = []\nprint('up', flush=True)\n"
        "while input() != 'end':\n    kept.append(b'x' * 5_000_000)\n    print('more', flush=True)"
    )
    quiet = children()
    assert answer(leaking) == "up"
    watch = ProcessWatch()
    deadline = time.monotonic() + LIMIT_S
    for now in range(0, 310, 10):
        leaking.stdin.write("more\n")
        leaking.stdin.flush()
        assert answer(leaking) == "more"
        watch.look(float(now), {1: leaking.pid, 2: quiet.pid})
        assert time.monotonic() < deadline
    trend = watch.seen.trends[1]
    assert trend.slope == pytest.approx(0.5 * MB, rel=0.1)
    assert trend.confidence > 0.99
    assert watch.seen.resources.steepest == trend
    assert watch.seen.trends[2].slope == 0.0


def test_only_a_trend_that_is_sure_and_amounts_to_something_is_told_of_the_pool():
    """A few kilobytes an hour are no leak, a guess is none, and what a worker does at first is none either."""
    sure = Trend(slope=10_000.0, confidence=0.99, seconds=600.0)
    others = [Trend(50_000.0, 0.5, 600.0), Trend(100.0, 0.999, 600.0), Trend(9e6, 0.999, 100.0)]
    assert steepest([*others, sure]) == sure
    assert steepest([]) == Trend()


@pytest.fixture
def no_descriptors():
    """Takes every descriptor there is, until the test ends."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []

    def take():
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(2))

    yield take
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_program_without_descriptors_keeps_its_last_figures(children, no_descriptors):
    """Nothing is raised, no worker is forgotten, and all descriptors are said to be in use."""
    worker = children()
    watch = ProcessWatch()
    watch.look(0.0, {1: worker.pid})
    before = watch.seen
    no_descriptors()
    for now in range(1, 2 * FAMILY_EVERY):
        watch.look(float(now), {1: worker.pid, 2: os.getpid()})
    assert watch.seen.resources.parent.fds == watch.seen.resources.max_fds
    assert watch.seen.resources.parent.rss == before.resources.parent.rss
    assert watch.seen.processes[1].rss == before.processes[1].rss
