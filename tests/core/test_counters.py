"""Counters beside the ledger, and the samples that ended calls leave."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.core import Call
from millpond.core.records import counters
from millpond.core.records.counters import ROW, note_end
from millpond.errors import Cancelled
from tests.core.model import World


def world(**settings) -> World:
    """Two workers, and calls that leave samples."""
    made = World(**({"min_workers": 2, "max_workers": 2} | settings)).begin()
    made.records.is_sampled = True
    return made


def rows_of(samples) -> list[tuple[float, ...]]:
    """The rows there are."""
    return list(ROW.iter_unpack(memoryview(samples.rows)[: samples.filled]))


def finish_like(samples, call, now) -> None:
    """What `endings.finish` does for a call that went the usual way."""
    if samples.left > 1:
        samples.left -= 1
    else:
        note_end(call, "ok", None, now)


def answer_at_once(made: World) -> None:
    """A call that is answered the moment it is sent, without a look at all that must hold meanwhile."""
    machine = made.machine
    call = Call(next(machine.call_ids), made.operation("work"), b"", math.inf)
    machine.submit(call, made.now)
    machine.answered(call.worker, call.id, "ok", None, made.now, made.now, 0, made.now)
    machine.outbox.clear()


def test_an_answered_call_leaves_one_row():
    """When it was submitted, sent and answered, its time in the worker, and the sizes of its arguments and answer."""
    made = world()
    call = made.submit()
    made.advance(0.5)
    made.machine.answered(call.worker, call.id, "ok", None, made.now - 0.25, made.now, 0, made.now, 77)
    ((submitted, sent, service, ended, request, answer, stands_for),) = rows_of(call.op.samples)
    assert (submitted, sent, ended) == (call.submitted_at, call.sent_at, made.now)
    assert (round(service, 6), request, answer) == (0.25, call.nbytes, 77)
    assert stands_for == 1


def test_without_a_reader_nothing_is_kept():
    """Samples that nobody takes away would only grow."""
    made = World(min_workers=1, max_workers=1).begin()
    made.submit()
    made.serve_all()
    assert not made.operation("work").samples.has_news


def test_what_ended_otherwise_is_told_apart():
    """A failed call has a service time, one that expired in the queue a wait and a latency, a cancelled one neither."""
    made = world(min_workers=1, max_workers=1)
    samples = made.operation("tokens").samples
    (process,) = made.all
    made.submit("tokens")
    made.answer(process, "failed", seconds=0.125)
    held = made.submit("tokens")
    made.submit("tokens", deadline=0.01)
    leaves = made.submit("tokens")
    made.cancel(leaves)
    made.advance(0.1)
    rows, _, waits, services, latencies, request_bytes = samples.take(made.now)
    assert not len(rows)
    assert [round(seconds, 6) for seconds in services] == [0.125]
    assert (len(waits), len(latencies), len(request_bytes)) == (2, 2, 3)
    assert waits[0] == 0.0
    assert 0.01 <= waits[1] == latencies[1]
    assert samples.codes == {"handler_error": 1, "cancelled": 1, "deadline_exceeded": 1}
    made.cancel(held)


def test_a_wait_ends_with_the_first_attempt():
    """A call that is tried again has waited until it was sent the first time, and that is counted once."""
    made = world(retry_backoff=1.0, restart_backoff=0.01)
    made.submit("tokens"), made.submit("tokens")
    call = made.submit(idempotent=True)
    made.advance(0.5)
    made.answer(made.all[0])
    process = made.processes[call.worker.id]
    made.claim(process)
    made.reap(process)
    made.run_out()
    assert (call.ending, call.attempts) == ("ok", 2)
    _, _, waits, services, latencies, _ = call.op.samples.take(made.now)
    assert [round(seconds, 2) for seconds in waits] == [0.5]
    assert len(services) == len(latencies) == 1
    assert latencies[0] > 1.0


def test_there_is_room_for_so_many_other_endings_and_no_more(monkeypatch):
    """What finds no room is counted as it ended, and as dropped; the next reading makes room again."""
    monkeypatch.setattr(counters, "MOST_OTHERS", 100)
    made = world()
    call = made.submit()
    made.serve_all()
    samples = call.op.samples
    samples.take(made.now)
    for _ in range(110):
        note_end(call, "cancelled", Cancelled("left"), made.now)
    *_, request_bytes = samples.take(made.now)
    assert (len(request_bytes), samples.endings["cancelled"], samples.dropped) == (100, 110, 10)
    assert not samples.has_news
    note_end(call, "cancelled", Cancelled("left"), made.now)
    assert len(samples.request_bytes) == 1


@given(st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_rows_stand_for_all_the_calls_of_their_time(counts):
    """However many there were before, each call that went the usual way is counted; where many come, few leave rows."""
    made = world()
    call = made.submit()
    made.serve_all()
    samples, before = call.op.samples, 1
    samples.take(made.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counters, "ENOUGH", 10)
        for count in counts:
            for _ in range(count):
                answer_at_once(made)
            made.now += 1.0
            rows = rows_of(samples)
            _, after, *_ = samples.take(made.now)
            assert sum(row[-1] for row in rows) + after == count
            assert bool(rows) == bool(count)
            assert len(rows) <= (count if before < 20 else count * 20 // before + 10)
            before = max(count, 1)
    assert samples.endings["ok"] == 1 + sum(counts)


@settings(max_examples=40)  # of thousands of calls each
@given(st.lists(st.integers(0, 2000), min_size=1, max_size=3))
def test_a_burst_is_thinned_while_it_lasts(counts):
    """Each step of rows halves what the next calls leave, also in the first second after a pause; none is uncounted."""
    made = world()
    call = made.submit()
    made.serve_all()
    samples = call.op.samples
    samples.take(made.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counters, "STEP", 10)
        samples.take(made.now)
        for count in counts:
            for _ in range(count):
                finish_like(samples, call, made.now)
            made.now += 1000.0  # so rare that no later burst is thinned from its start
            rows = rows_of(samples)
            _, after, *_ = samples.take(made.now)
            assert sum(row[-1] for row in rows) + after == count
            assert len(rows) <= 10 * (2 + max(count, 10).bit_length())
            assert [row[-1] for row in rows[:10]] == [1.0] * min(count, 10)


@given(st.lists(st.sampled_from(["submit", "answer", "cancel", "wait", "kill"]), max_size=60), st.integers(0, 99))
def test_samples_agree_with_the_ledger(steps, seed):
    """Whatever happens, the operations' endings add up to the pool's, and nobody is busy longer than he was there."""
    made = world(restart_backoff=0.01)
    calls = []
    for step in steps:
        busy = [process for process in made.all if process.can_begin]
        if step == "submit":
            calls.append(made.submit(("work", "tokens")[made.random.randrange(2)]))
        elif step == "answer" and busy:
            made.claim(busy[0])
            for frame in list(busy[0].running.values()):
                made.complete(busy[0], frame, ("ok", "failed")[made.random.randrange(2)])
        elif step == "cancel" and calls:
            made.cancel(calls[made.random.randrange(len(calls))])
        elif step == "kill" and made.all:
            made.reap(made.all[0])
        else:
            made.advance(0.1)
        made.serve_all() if made.random.random() < 0.3 else None
    m = made.records
    operations = [operation.samples for operation in m.operations.values()]
    for samples in operations:
        samples.take(made.now)
    for ending, count in m.counts.items():
        assert sum(samples.endings[ending] for samples in operations) == count
    for worker in m.workers.values():
        since = made.now - worker.busy_since if worker.inflight else 0.0
        assert -1e-9 <= worker.busy_s + since <= made.now - worker.started_at + 1e-9
    assert m.counters.busy_s <= m.counters.available_s + 1e-9


def test_a_worker_is_busy_while_it_holds_a_call():
    """Exactly from the first call given to it to the last one taken from it, calls taken back and deaths included."""
    made = world(min_workers=1, max_workers=1, restart_backoff=0.01)
    (process,) = made.all
    worker = process.record
    made.advance(1.0)
    made.submit()
    made.advance(2.0)
    made.answer(process)
    made.advance(3.0)
    assert round(worker.busy_s, 6) == 2.0
    leaves = made.submit("tokens")
    made.advance(0.5)
    made.cancel(leaves)
    assert round(worker.busy_s, 6) == 2.5
    made.serve_all()  # it passes over that one
    made.submit("tokens")
    made.claim(process)
    made.advance(0.25)
    made.reap(process)
    assert round(made.records.counters.busy_s, 6) == 2.75
    assert round(made.records.counters.available_s, 6) == 6.75


def test_deaths_are_counted_by_their_cause():
    """What the pool wanted, what it had to do, and what happened to it."""
    made = world(max_workers=4, restart_backoff=0.01, cancel_grace=0.5)
    made.advance(2.0)
    made.reap(made.all[0])
    made.serve_all()
    made.drain(made.all[0])
    made.serve_all()
    call = made.submit(deadline=0.1)
    made.claim(made.processes[call.worker.id])
    made.advance(1.0)
    killed = made.processes[call.worker.id]
    assert killed.is_killed
    made.reap(killed)
    made.fail_to_start(next(process for process in made.all if not process.is_ready))
    made.run_out()
    made.close(0.0)
    made.serve_all()
    assert made.records.counters.deaths == {"crashed": 1, "recycled": 1, "overran": 1, "start_failed": 1, "retired": 1}
    assert made.records.counters.start_failures == 1
    assert made.records.counters.interrupts == 1


def test_calls_that_waited_for_a_start_are_cold():
    """Those given to a worker the moment it was ready."""
    made = world(min_workers=0, max_workers=1)
    for _ in range(2):
        made.submit("tokens")
    made.advance(0.1)
    made.serve_all()
    assert made.records.counters.cold_calls == 1


def test_a_sessions_calls_hit_where_its_state_is():
    """The first call opens it and is neither; later ones hit; one after a move misses once."""
    made = world()
    session = made.open_session("customer")
    for _ in range(3):
        made.submit("say", session=session)
        made.serve_all()
    counted = made.records.counters
    assert (counted.affinity_hits, counted.affinity_misses) == (2, 0)
    made.drain(made.processes[session.worker.id])
    made.serve_all()
    for _ in range(2):
        made.submit("say", session=session)
        made.serve_all()
    assert (counted.affinity_hits, counted.affinity_misses) == (3, 1)
    assert (counted.sessions_opened, counted.sessions_moved, counted.sessions_lost) == (1, 1, 0)
