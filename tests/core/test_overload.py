"""What is refused because it would wait too long, what never is, and how much is answered while far more is offered."""

from __future__ import annotations

from random import Random

import pytest

from millpond import events
from millpond.core import Call
from millpond.errors import Overloaded
from tests.core.model import World
from tests.core.traffic import MEAN_S, SERVICES, Traffic


def pool(workers: int = 1, takes: float = 1.0, answers: int = 10, name: str = "work", **settings) -> World:
    """Workers that are ready, and an operation known to take so long."""
    settings = {"min_workers": workers, "max_workers": workers, **settings}
    world = World(**settings).begin()
    know(world, name, takes, answers)
    return world


def know(world: World, name: str, takes: float, answers: int = 10) -> None:
    for _ in range(answers):
        world.operation(name).learn(takes)


def busy(world: World, waiting: int, name: str = "work", **options) -> list[Call]:
    """Every worker has a call, and so many wait."""
    calls = [world.submit(name, **options) for _ in range(len(world.all) + waiting)]
    for process in world.all:
        world.claim(process)
    return calls


def answer(world: World, seconds: float = 1.0) -> None:
    """The first worker's call comes back, after it took so long."""
    process = next(process for process in world.all if process.running)
    world.advance(seconds)
    world.complete(process, next(iter(process.running.values())), seconds=seconds)
    world.deliver(process)


def test_a_call_that_would_wait_too_long_is_refused_at_the_door():
    """Three calls of a second are ahead: a deadline of three seconds is not enough, one of six is."""
    world = pool()
    busy(world, 2)
    refused = world.submit(deadline=3.0)
    assert isinstance(refused, Overloaded)
    assert (refused.code, refused.outcome, refused.attempts) == ("overloaded", "not_started", 0)
    assert refused.wait_s == pytest.approx(3.0, abs=0.01)
    assert refused.retry_after == pytest.approx(3.0, abs=0.01)
    assert "map()" in str(refused)
    assert "deadline=None" in str(refused)
    assert [event.code for event in world.events(events.CallRefused)] == ["overloaded"]
    assert world.records.counts["rejected"] == 1
    assert world.submit(deadline=6.0).state == "queued"


def serve(world: World, seconds: float) -> None:
    """Everything that was let in is run, one call after another, each for so long."""
    process = world.all[0]
    while process.running or process.waiting:
        if not process.running:
            world.claim(process)
        else:
            answer(world, seconds)


def burst(world: World, calls: int) -> int:
    """How many of so many calls at once are let in and answered, each after 5 ms."""
    let_in = [call for call in (world.submit(deadline=1.0) for _ in range(calls)) if isinstance(call, Call)]
    serve(world, 0.005)
    world.advance(2.0)
    return sum(call.ending == "ok" for call in let_in)


def test_one_slow_run_does_not_have_later_bursts_refused():
    """An estimate that refused calls, and the worker was idle soon after, is begun anew; one that was right is kept."""
    world = pool(takes=0.005, answers=50)
    know(world, "work", 0.9, answers=1)
    assert burst(world, 20) < 20
    assert burst(world, 20) == 20
    know(world, "work", 0.3, answers=100)
    busy(world, 5)
    assert isinstance(world.submit(deadline=1.0), Overloaded)
    serve(world, 0.3)
    world.advance(2.0)
    assert world.operation("work").service.limit_s > 0.3


def test_what_a_running_call_has_done_already_does_not_count():
    """The call at work began 0.9 s ago: who comes now waits for the tenth of a second it has left."""
    world = pool()
    busy(world, 0)
    assert isinstance(world.submit(deadline=1.5), Overloaded)
    world.advance(0.9)
    assert world.submit(deadline=1.5).state == "queued"


def test_a_call_without_a_deadline_is_never_refused():
    """It may wait as long as it takes."""
    world = pool()
    busy(world, 50)
    assert world.submit().state == "queued"


def test_nothing_is_refused_before_ten_answers():
    """What is not known is no reason to refuse: neither of the call itself nor of those ahead."""
    world = pool(answers=9)
    busy(world, 50)
    assert world.submit(deadline=0.5).state == "queued"
    know(world, "tokens", 0.01)
    assert world.submit("tokens", deadline=0.5).state == "queued"


def test_a_call_for_which_a_worker_is_free_is_sent_whatever_it_takes():
    """Only waiting is refused: an operation of a second may be called with half a second."""
    assert pool().submit(deadline=0.5).state == "running"


def test_a_pool_without_a_worker_starts_one_and_lets_the_call_wait():
    """How long a start takes is no reason to refuse."""
    world = pool(workers=0, max_workers=1)
    call = world.submit(deadline=0.5)
    assert call.state == "queued"
    world.advance(0.01)
    assert len(world.processes) == 1


def test_a_call_that_became_hopeless_while_it_waited_is_dropped_before_it_costs_a_worker():
    """It is told as a refusal, as soon as its turn comes; the next one that can be answered is sent instead."""
    world = pool()
    world.machine.listen(lambda _name: True)
    _, hopeless, next_one = busy(world, 2, deadline=10.0)
    world.advance(9.5)
    last = world.submit(deadline=10.0)
    answer(world, 0.0)
    (error,) = world.promises[hopeless.id].told
    assert (error.code, error.outcome, hopeless.ending) == ("overloaded", "not_started", "rejected")
    assert (next_one.ending, last.state) == ("rejected", "running")
    told = [(event.ending, event.code) for event in world.events(events.CallFailed)]
    assert told == [("rejected", "overloaded")] * 2


def test_the_last_waiting_call_is_never_dropped_while_a_worker_would_be_idle():
    """Otherwise one slow spell would lock the pool out: nothing would be run, and nothing learned."""
    world = pool()
    _, hopeless = busy(world, 1, deadline=10.0)
    world.advance(9.5)
    answer(world, 0.0)
    assert hopeless.state == "running"


def test_one_that_began_before_is_not_dropped():
    """Its work may have run: that nothing has started could not be said of it."""
    world = pool(workers=1, spare_workers=1, retry_backoff=0.0, deadline=10.0)
    call = world.submit(deadline=10.0, idempotent=True)
    process = world.processes[call.worker.id]
    world.claim(process)
    world.advance(9.5)
    busy_one = world.submit()
    world.submit()
    world.reap(process)
    world.advance(0.1)
    assert call.ending is None
    assert busy_one.ending is None
    assert world.records.codes == {}


def test_a_deadline_that_passed_is_told_as_such():
    """Expiry at the deadline itself is no refusal."""
    world = pool()
    _, waiting = busy(world, 1, deadline=3.0)
    world.advance(3.1)
    (error,) = world.promises[waiting.id].told
    assert (error.code, error.outcome) == ("deadline_exceeded", "not_started")


def test_only_what_is_ahead_of_a_call_counts():
    """A queue of low priority keeps nobody out whose priority is higher; among equals it does."""
    world = pool(priority_age=1000.0)
    busy(world, 20, priority=-1)
    assert isinstance(world.submit(deadline=5.0, priority=-1), Overloaded)
    assert world.submit(deadline=5.0, priority=1).state == "queued"


def test_the_work_ahead_is_added_up_by_operation():
    """Twenty calls of 0.1 s and one of a second at work are 3 s."""
    world = pool()
    know(world, "tokens", 0.1)
    busy(world, 0)
    answer(world)
    world.advance(0.5)  # how long any operation takes is noted twice a second while calls run
    busy(world, 0)
    for _ in range(20):
        world.submit("tokens")
    assert world.submit("tokens", deadline=4.0).state == "queued"
    assert isinstance(world.submit("tokens", deadline=2.5), Overloaded)


def test_what_waits_at_a_session_counts_for_its_calls():
    """They run one after another, however many workers there are."""
    world = pool(workers=4, name="say")
    session = world.open_session("a")
    calls = [world.submit("say", session=session) for _ in range(4)]
    assert [call.state for call in calls] == ["running"] + ["queued"] * 3
    assert isinstance(world.submit("say", session=session, deadline=3.0), Overloaded)
    assert world.submit("say", session=session, deadline=6.0).state == "queued"
    assert world.submit("say", session=world.open_session("b"), deadline=3.0).state == "running"


def test_what_waits_at_its_worker_counts_for_a_sessions_call():
    """Two sessions of one worker: each waits for the other's calls."""
    world = pool(name="say")
    first, second = world.open_session("a"), world.open_session("b")
    for session in (first, second):
        world.submit("say", session=session)
        world.serve_all()
    world.submit("say", session=first)
    assert isinstance(world.submit("say", session=second, deadline=1.5), Overloaded)
    assert world.submit("say", session=second, deadline=3.5).state == "queued"


def test_hopeless_calls_in_a_sessions_line_make_way_for_those_behind():
    """The last in the line is kept for the worker that would be idle."""
    world = pool(name="say")
    session = world.open_session("a")
    calls = [world.submit("say", session=session, deadline=10.0) for _ in range(3)]
    world.claim(world.all[0])
    world.advance(9.5)
    answer(world, 0.0)
    assert [call.ending for call in calls] == ["ok", "rejected", None]
    assert calls[2].state == "running"


def test_refused_calls_count_as_demand():
    """A pool that refuses for as long as a start takes grows, though nothing waits in it."""
    world = World(min_workers=1, max_workers=3).begin()
    know(world, "work", 1.0)
    busy(world, 0)
    for _ in range(20):
        assert isinstance(world.submit(deadline=1.2), Overloaded)
        world.advance(0.01)
    world.advance(0.2)
    assert len(world.processes) > 1
    assert any("refused" in event.reason for event in world.events(events.PoolResized))


def test_it_can_be_switched_off():
    """Without it a call waits for its deadline."""
    world = pool(overload_control=False)
    _, first, second = busy(world, 2, deadline=10.0)
    assert world.submit(deadline=0.5).state == "queued"
    world.advance(9.5)
    answer(world, 0.0)
    assert (first.state, second.state) == ("running", "queued")


def test_a_deadline_counts_against_the_breaker_only_after_the_time_the_operation_usually_takes():
    """Calls begun with too little time left are no sign of an operation that hangs; those that had it are."""
    world = pool(breaker_faults=1, cancel_grace=100.0)
    short = world.submit(deadline=0.5)
    world.claim(world.all[0])
    world.advance(0.6)
    assert (short.ending, world.operation("work").breaker.state) == ("expired", "closed")
    process = world.all[0]
    world.complete(process, process.running[short.id], "interrupted")
    world.deliver(process)
    world.submit(deadline=1.5)
    world.claim(process)
    world.advance(1.6)
    assert world.operation("work").breaker.state == "open"


@pytest.mark.parametrize("load", [1.2, 2.0, 3.0, 10.0])
@pytest.mark.parametrize("deadline", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("service", SERVICES)
def test_32_goodput_is_held(service, deadline, load):
    """Row 32: what is answered in time under overload is what a queue of the right length would let through."""
    seconds, draw = 20, SERVICES[service]
    ours = Traffic(1, draw).offer(load * 100, seconds, deadline)
    bounded = Traffic(1, draw, max_queued=90, overload_control=False).offer(load * 100, seconds, deadline)
    if service == "constant":
        assert all(ours.answered[second] >= 95 for second in range(3, seconds))
    assert ours.within(0, seconds) >= 0.95 * bounded.within(0, seconds)
    assert all(ours.within(at, at + 10) >= 0.9 * bounded.within(at, at + 10) for at in (0, 10))
    assert ours.missed <= 0.02 * ours.begun
    assert ours.dropped <= 0.12 * ours.admitted
    assert ours.breakers == []


@pytest.mark.parametrize("load", [1.2, 3.0])
@pytest.mark.parametrize("deadline", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("slow", [0.3, 3.0])
def test_32_after_a_slow_spell_the_pool_is_back_at_full_rate(slow, deadline, load):
    """Row 32: five seconds in which every call takes far longer are forgotten two seconds after."""

    def draw(_random: Random, now: float) -> float:
        return slow if 5.0 <= now < 10.0 else MEAN_S

    outcome = Traffic(1, draw).offer(load * 100, 17, deadline)
    back = 12 + int(min(slow, deadline))  # the last of the slow calls were begun at 10 s
    assert all(outcome.answered[second] >= 95 for second in (3, 4, *range(back, 17)))
