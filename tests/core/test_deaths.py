"""A worker dies: what becomes of what it held."""

from __future__ import annotations

import pytest

from millpond.seams import STACK_LINES, Death
from tests.core.model import World, told

FAST = 2e-5


def pool(workers: int = 2, **settings) -> World:
    """A pool of fixed size whose operations are known to be fast."""
    world = World(min_workers=workers, max_workers=workers, **settings).begin()
    for name in ("work", "say"):
        world.operation(name).expected = FAST
    return world


def test_one_death_costs_one_call():
    """Row 1: what had begun is lost, all the rest is served elsewhere, and a new worker is started."""
    world = pool()
    calls = [world.submit() for _ in range(20)]
    victim, _ = world.all
    world.claim(victim)
    (begun,) = victim.running.values()
    world.reap(victim, Death(9, None, "last words"))
    error = told(world, begun.call)
    assert (error.code, error.outcome, error.signal, error.attempts) == ("worker_died", "unknown", 9, 1)
    assert error.stderr_tail == "last words"
    assert len(world.processes) == 2
    world.serve_all()
    assert [call.ending for call in calls].count("ok") == 19


NATIVE = "loading\nFatal Python error: Segmentation fault\n\nCurrent thread 0x7f (most recent call first):\n"


@pytest.mark.parametrize(
    ("death", "said"),
    [
        (Death(11, None, NATIVE + '  File "a.py", line 3 in read\n' * 99), ["signal 11 (SIGSEGV)", NATIVE[8:], "a.py"]),
        (Death(9, None, "bye", "the kernel killed for lack of memory, perhaps"), ["signal 9 (SIGKILL)", "the kernel"]),
        (Death(99, None), ["ended with signal 99 while"]),
        (Death(None, 3, "bye"), ["exit code 3"]),
    ],
)
def test_how_a_worker_died_is_said_in_the_error(death, said):
    """The signal by its name, the native stack's first lines, and what the kernel's counters hint at."""
    world = pool(1)
    call = world.submit()
    world.claim(world.all[0])
    world.reap(world.all[0], death)
    text = str(told(world, call))
    assert all(part in text for part in said), text
    assert "bye" not in text
    assert len(text.splitlines()) <= 1 + STACK_LINES


def test_a_worker_that_the_pool_killed_is_no_victim_of_the_kernel():
    """What the counters hint at explains only a death that nothing else does."""
    world = pool(1, cancel_grace=0.1)
    call = world.submit("say", session=world.open_session("a"))
    other = world.submit()
    world.claim(world.all[0])
    world.drain(world.all[0])
    world.close(0.0)
    world.advance(0.1)
    world.reap(world.all[0], Death(9, None, "", "the kernel killed"))
    assert not any("the kernel" in str(told(world, one)) for one in (call, other))


def test_what_a_worker_ran_when_it_broke_the_protocol_is_to_blame():
    """Row 30: its caller is told what happened, and a call that does so to every worker is poison."""
    world = pool(1)
    for idempotent, code in ((False, "worker_died"), (True, "poison_call")):
        call = world.submit(idempotent=idempotent)
        while not world.promises[call.id].told:
            (process,) = world.all
            world.serve_time()
            if call.state == "running":
                world.claim(process)
                world.break_protocol(process)
                world.reap(process)
            else:
                world.serve(process) or world.advance(0.1)
        error = told(world, call)
        assert (error.code, error.outcome) == (code, "unknown")
        world.serve_all()
    died = world.records.counters.deaths
    assert died["protocol"] == 3


def test_an_error_of_a_broken_protocol_says_so():
    """Nothing about idempotence: trying again would break it again."""
    world = pool(1)
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.break_protocol(process)
    world.reap(process, Death(9, None))
    assert "broke the protocol while it ran 'work'" in str(told(world, call))
    assert "half a frame" in str(told(world, call))
    assert "idempotent" not in str(told(world, call))


def test_answers_that_were_given_before_the_death_count():
    """The parent reads to the end before it judges."""
    world = pool()
    call = world.submit()
    process = world.processes[call.worker.id]
    world.claim(process)
    world.complete(process, process.running[call.id])
    world.reap(process)
    assert call.ending == "ok"


def test_a_call_that_had_not_begun_costs_no_attempt():
    """It is given to the next worker silently, in front, as if for the first time."""
    world = pool(1)
    call = world.submit()
    (process,) = world.all
    world.reap(process)
    assert (call.state, call.attempts) == ("queued", 0)
    world.run_out()
    assert (call.ending, call.attempts) == ("ok", 1)


def test_an_idempotent_call_is_tried_again():
    """Row 21: after a pause, within its deadline, once more."""
    world = pool()
    call = world.submit(idempotent=True)
    process = world.processes[call.worker.id]
    world.claim(process)
    world.reap(process)
    assert call.state == "queued"
    world.run_out()
    assert (call.ending, call.attempts, world.records.retries) == ("ok", 2, 1)


def test_a_call_that_kills_every_worker_is_poison():
    """Row 21: two deaths, then it is not given to a third."""
    world = pool(3)
    call = world.submit(idempotent=True)
    for _ in range(2):
        while call.state != "running":
            world.advance(0.05)
        process = world.processes[call.worker.id]
        world.claim(process)
        world.reap(process)
    assert (call.ending, told(world, call).code, told(world, call).attempts) == ("lost", "poison_call", 2)


@pytest.mark.parametrize("options", [{}, {"idempotent": True, "deadline": 0.001}])
def test_what_may_not_be_tried_again_is_lost(options):
    """Without leave, or without time for the pause, the first death is the last word."""
    world = pool()
    call = world.submit(**options)
    process = world.processes[call.worker.id]
    world.claim(process)
    world.reap(process)
    assert told(world, call).code == "worker_died"


def test_streams_and_session_calls_are_never_tried_again():
    """Items may have been seen, and a session's state is gone."""
    world = pool()
    stream = world.submit("tokens", idempotent=True)
    in_session = world.submit("say", idempotent=True, session=world.open_session("a"))
    for process in world.all:
        world.claim(process)
        world.reap(process)
    assert [told(world, call).code for call in (stream, in_session)] == ["worker_died"] * 2


def test_attempts_are_bounded_also_when_no_death_is_the_calls_fault():
    """Workers the pool killed itself count as attempts, and there are three."""
    world = pool(1, concurrency=2, cancel_grace=0.1, breaker_faults=100)
    call = world.submit(idempotent=True)
    for _ in range(3):
        while call.state != "running":
            world.advance(0.05)
            world.serve_all() if not any(p.is_ready for p in world.all) else None
        process = world.processes[call.worker.id]
        hog = world.submit(deadline=0.1)
        while process.waiting:
            world.claim(process)
        world.advance(0.3)
        assert process.is_killed
        world.reap(process)
        assert hog.ending == "expired"
    assert (call.ending, told(world, call).code, call.attempts, call.deaths) == ("lost", "worker_died", 3, 0)


def test_a_neighbour_is_not_to_blame():
    """A call beside one that outlived its grace is lost, but its operation's breaker is not told."""
    world = pool(1, concurrency=2, cancel_grace=0.1, breaker_faults=1)
    (process,) = world.all
    hog, neighbour = world.submit("tokens", deadline=0.1), world.submit("work")
    world.claim(process)
    world.claim(process)
    world.advance(0.3)
    world.reap(process)
    assert hog.ending == "expired"
    assert told(world, neighbour).code == "worker_died"
    assert world.operation("work").breaker.state == "closed"
    assert world.operation("tokens").breaker.state == "open"


def test_a_call_nobody_waits_for_dies_with_its_worker():
    """It was given up before; its caller was told then."""
    world = pool()
    call = world.submit()
    process = world.processes[call.worker.id]
    world.claim(process)
    world.cancel(call)
    world.reap(process)
    assert call.ending == "cancelled"


def test_put_back_calls_keep_their_order():
    """Those of a dead worker stand before everything submitted later."""
    world = pool(1)
    calls = [world.submit() for _ in range(60)]
    (process,) = world.all
    held = len(process.waiting)
    assert 0 < held < 60
    world.reap(process)
    assert [call.id for call in sorted(world.records.queue, key=lambda c: (c.key, c.id))] == [c.id for c in calls]
    assert world.records.queue.head() is calls[0]
