"""The warden and its processes: none outlives the parent or the warden, and work goes on under the next warden."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from millpond.engine import kernel
from tests.faults.harness import ORPHANS_S, at_most
from tests.processes import engine_handlers
from tests.processes.engine_handlers import Plain, Preloading
from tests.processes.engine_rig import Worker, engine_for, lives, on_a_loop, until, until_sync
from tests.start_methods import METHODS

PARENT = """
import asyncio, os, signal, sys
from tests.processes.engine_handlers import Plain
from tests.processes.engine_rig import engine_for

async def main():
    async with engine_for(Plain, start_method=sys.argv[1], run_id=sys.argv[2]) as rig:
        idle, busy, stopped, family = [await rig.start() for _ in range(4)]
        grandchild = (await rig.ask(family, "grandchild"))[1]
        rig.engine.send(busy, rig.call("spin"))
        os.kill(stopped.pid, signal.SIGSTOP)
        await rig.events.wait("stopped", stopped)
        print(rig.warden, grandchild, *(worker.pid for worker in (idle, busy, stopped, family)), flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


def _parent(method: str, run_id: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A program with a pool of four, and the pids of its warden, a grandchild and its workers."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, method, run_id], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


@pytest.mark.parametrize("method", METHODS)
def test_nobody_outlives_the_parent(method: str, tmp_path: Path) -> None:
    """After SIGKILL of the program: idle, busy, stopped workers and a grandchild that left its session are gone."""
    run_id = f"orphans-{method}-{os.getpid()}"
    parent, pids = _parent(method, run_id)
    assert len(pids) == 6
    assert all(map(lives, pids))
    with parent:
        parent.kill()
    until_sync(lambda: not kernel.carriers(run_id) and not any(map(lives, pids)), at_most(ORPHANS_S))


def test_a_forked_relative_of_the_parent_keeps_nobody_alive() -> None:
    """It holds copies of every socket; the warden watches the parent itself."""
    run_id = f"relative-{os.getpid()}"
    code = PARENT.replace("await asyncio.sleep(300)", "os.fork() or signal.pause(); await asyncio.sleep(300)")
    parent = subprocess.Popen([sys.executable, "-c", code, "fork", run_id], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    relative = until_relative(parent.pid)
    try:
        parent.kill()
        parent.wait()
        until_sync(lambda: not kernel.carriers(run_id), at_most(ORPHANS_S))
        assert lives(relative)
    finally:
        os.kill(relative, signal.SIGKILL)
        parent.stdout.close()


THREAD_ENDS = """
import asyncio, os, sys, threading, time
from tests.processes.engine_handlers import Plain
from tests.processes.engine_rig import STANDIN, LocalEngine, Recorder, Rig, make_spec, until

kept = []

async def main():
    engine, events = LocalEngine(STANDIN), Recorder()
    kept.append(engine)
    await engine.open(make_spec(Plain, start_method=sys.argv[1], run_id=sys.argv[2]), events)
    rig = Rig(engine, events, sys.argv[2])
    worker, call = await rig.start(), rig.call("sleep", 300)
    engine.send(worker, call)
    await until(lambda: rig.has_begun(worker, call))
    kept.append((rig.warden, worker.pid))

opening = threading.Thread(target=lambda: asyncio.run(main()))
opening.start()
while str(opening.native_id) in os.listdir("/proc/self/task"):  # the system's thread outlives Python's a little
    time.sleep(0.01)
print(*kept[-1], flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_warden_is_continued_though_the_thread_that_started_it_is_over(method: str) -> None:
    """What counts is the death of the program: then the warden ends everything."""
    run_id = f"continued-{method}-{os.getpid()}"
    parent = subprocess.Popen([sys.executable, "-c", THREAD_ENDS, method, run_id], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    warden, worker = (int(pid) for pid in parent.stdout.readline().split())
    with parent:
        os.kill(warden, signal.SIGSTOP)
        until_sync(lambda: psutil.Process(warden).status() == "stopped")
        parent.kill()
    until_sync(lambda: not lives(warden) and not lives(worker) and not kernel.carriers(run_id), at_most(5.0))


def until_relative(parent: int) -> int:
    """The child of a process that is no warden."""
    found: list[int] = []

    def look() -> bool:
        children = psutil.Process(parent).children()
        found[:] = [child.pid for child in children if "MILLPOND_RUN_ID" not in child.environ()]
        return bool(found)

    until_sync(look)
    return found[0]


NESTED = """
import asyncio
import millpond
from tests.processes.handlers import WithPool

async def main():
    async with millpond.Pool(WithPool, min_workers=2, max_workers=2) as pool:
        print(*await pool.call("family"), flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


def test_a_worker_ends_what_the_pool_of_another_worker_left() -> None:
    """All between the program and a helper of the inner pool die in one instant: the outer pool's mark leads to it."""
    parent = subprocess.Popen([sys.executable, "-c", NESTED], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    *between, helper = (int(pid) for pid in parent.stdout.readline().split())
    with parent:
        for pid in (parent.pid, *between):
            with suppress(ProcessLookupError):  # it may have gone with the one before
                os.kill(pid, signal.SIGKILL)
    until_sync(lambda: not lives(helper), at_most(ORPHANS_S))


def test_a_parent_that_dies_while_the_image_is_made_takes_the_warden_along() -> None:
    """Though nobody listens to the socket while user code is imported."""
    run_id = f"early-{os.getpid()}"
    code = f"""
import asyncio
from tests.processes.engine_handlers import Stuck
from tests.processes.engine_rig import *
asyncio.run(LocalEngine(STANDIN).open(make_spec(Stuck, run_id={run_id!r}), Recorder()))
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    until_sync(lambda: bool(kernel.carriers(run_id)))
    parent.kill()
    parent.wait()
    until_sync(lambda: not kernel.carriers(run_id), at_most(ORPHANS_S))


@pytest.mark.parametrize("method", METHODS)
@on_a_loop
async def test_a_lost_warden_takes_its_workers_and_has_a_successor(method: str) -> None:
    """All workers are told of as dead, what they started is dead, and new ones start."""
    async with engine_for(Plain, start_method=method) as rig:
        workers = [await rig.start(), await rig.start()]
        grandchild = (await rig.ask(workers[0], "grandchild"))[1]
        call = rig.call("sleep", 60)
        rig.engine.send(workers[1], call)
        await until(lambda: rig.has_begun(workers[1], call))
        first = rig.warden
        os.kill(first, signal.SIGKILL)
        await rig.events.wait("engine_lost")
        rig.engine.revive()
        deaths = [await rig.events.wait("gone", worker) for worker in workers]
        assert [death[2].signal for death in deaths] == [9, 9]
        assert [death[3] for death in deaths] == [[], [call.id]]
        await until(lambda: not any(map(lives, [grandchild, *(worker.pid for worker in workers)])))
        await rig.events.wait("engine_back")
        assert await rig.ask(await rig.start(), "echo", 1) == ("ok", 1)
        assert rig.warden != first


def test_who_starts_processes_without_end_is_swept_away() -> None:
    """Though there is always one of them below it, which is to go first."""
    image = f"endless-{os.getpid()}.1"
    loop = ["sh", "-c", "while :; do sleep 300; done"]
    with subprocess.Popen(loop, env=dict(os.environ) | {kernel.IMAGE_ID: image}) as endless:
        try:
            until_sync(lambda: bool(psutil.Process(endless.pid).children()))
            for _ in kernel.sweep(image):
                time.sleep(0.005)
            assert not kernel.carriers(image, kernel.IMAGE_ID)
        finally:
            endless.kill()


def test_a_trackers_time_begins_when_the_others_are_dead() -> None:
    """On a busy machine these may have died so late that nothing would be left of it."""
    image = f"late-{os.getpid()}.1"
    marked = dict(os.environ) | {kernel.IMAGE_ID: image}
    wait = "import time\ntime.sleep(300)  # from a.resource_tracker import main"
    with (
        subprocess.Popen(["sleep", "300"], env=marked) as worker,
        subprocess.Popen([sys.executable, "-S", "-c", wait], env=marked) as tracker,
    ):
        try:
            until_sync(lambda: kernel.is_tracker(tracker.pid) and len(kernel.carriers(image, kernel.IMAGE_ID)) == 2)
            sweep = kernel.sweep(image)
            next(sweep)
            assert worker.wait(10.0) == -signal.SIGKILL
            time.sleep(kernel.TRACKER_GRACE_S)
            next(sweep)
            with pytest.raises(subprocess.TimeoutExpired):
                tracker.wait(0.3)
            for _ in sweep:
                time.sleep(0.005)
            assert tracker.wait(10.0) == -signal.SIGKILL
        finally:
            worker.kill()
            tracker.kill()


@on_a_loop
async def test_without_a_warden_a_start_is_refused() -> None:
    """It is lost with a reason, and its workers are named before their deaths are told."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        os.kill(rig.warden, signal.SIGKILL)
        assert "the warden ended with signal 9" in (await rig.events.wait("engine_lost"))[2]
        assert rig.events.of("worker_lost", worker)
        refused = Worker()
        rig.engine.start(refused)
        assert "signal 9" in (await rig.events.wait("start_failed", refused))[2]
        rig.engine.revive()
        await rig.events.wait("gone", worker)


@on_a_loop
async def test_without_a_descriptor_a_revival_fails_and_a_later_one_does_not() -> None:
    """The dead are told of when they can be looked for."""
    async with engine_for(Plain) as rig:
        worker, warden = await rig.start(), rig.warden
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            os.kill(warden, signal.SIGKILL)
            await rig.events.wait("engine_lost")
            rig.engine.revive()
            assert "Too many open files" in (await rig.events.wait("engine_lost", count=2))[2]
            assert not rig.events.of("gone")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        rig.engine.revive()
        await rig.events.wait("gone", worker)
        await rig.events.wait("engine_back")


@on_a_loop
async def test_an_image_that_cannot_be_made_again_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason, the user's own, is given."""
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    async with engine_for(engine_handlers.FailsLater) as rig:
        await rig.start()
        os.kill(rig.warden, signal.SIGKILL)
        await rig.events.wait("engine_lost")
        rig.engine.revive()
        assert "LookupError: the model is gone" in (await rig.events.wait("engine_lost", count=2))[2]


@on_a_loop
async def test_a_warden_that_hangs_is_replaced() -> None:
    """A worker that has to go goes without it, with what it started, and its successor works."""
    async with engine_for(Plain) as rig:
        worker, other = await rig.start(), await rig.start()
        hung, unmarked = rig.warden, (await rig.ask(worker, "grandchild", {}))[1]
        os.kill(hung, signal.SIGSTOP)
        rig.engine.kill(worker)
        await rig.events.wait("engine_lost")
        rig.engine.revive()
        assert (await rig.events.wait("gone", worker))[2].signal == 9
        await rig.events.wait("gone", other)
        await until(lambda: not lives(unmarked))
        await rig.events.wait("engine_back")
        assert await rig.ask(await rig.start(), "echo", 1) == ("ok", 1)
        assert rig.warden != hung


@on_a_loop
async def test_orders_wait_their_turn_while_a_fork_is_slow() -> None:
    """Starts are carried out one after the other, and a kill among them finds its worker."""
    async with engine_for(engine_handlers.SlowToFork) as rig:
        workers = [Worker() for _ in range(4)]
        for worker in workers:
            rig.engine.start(worker)
        rig.engine.kill(workers[1])
        assert (await rig.events.wait("gone", workers[1]))[2].signal == 9
        for worker in (workers[0], workers[2], workers[3]):
            await rig.events.wait("ready", worker)
            assert await rig.ask(worker, "echo", worker.id) == ("ok", worker.id)


@on_a_loop
async def test_preload_runs_once_in_the_warden() -> None:
    """What it made is there in every worker."""
    async with engine_for(Preloading) as rig:
        for worker in [await rig.start(), await rig.start()]:
            made_in, warden = (await rig.ask(worker, "origin"))[1]
            assert made_in == warden == rig.warden


@on_a_loop
async def test_the_wardens_output_is_kept_with_the_workers() -> None:
    """What user code prints while the image is made shows in the logs of all."""
    async with engine_for("tests.processes.engine_noise:Noisy") as rig:
        await rig.start()
        await until(lambda: rig.engine.logs().startswith("imported loudly\nby C as well\n"))


@on_a_loop
async def test_many_starts_at_once_all_come_up() -> None:
    """More orders than the control socket takes in one go."""
    async with engine_for(Plain, max_workers=60, buffer_bytes=0) as rig:
        workers = [Worker() for _ in range(60)]
        for worker in workers:
            rig.engine.start(worker)
        for worker in workers:
            await rig.events.wait("ready", worker)
        await asyncio.gather(*(rig.ask(worker, "echo", 1) for worker in workers))
