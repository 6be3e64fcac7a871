"""The logbook's promise: a call withdrawn in time never runs, and its page is laid out as both ends expect."""

from __future__ import annotations

import os
import struct
import threading

import pytest

from millpond.wire.logbook import INTERRUPT, NO_REQUEST, POSITIONS, WITHDRAWN, Logbook
from millpond.wire.shared_memory import SharedMemory


@pytest.fixture
def ends():
    """The two ends of one logbook: (parent's, worker's)."""
    parent = Logbook.create()
    worker = Logbook(os.dup(parent.fd))
    yield parent, worker
    parent.close()
    worker.close()


@pytest.mark.parametrize("position", [0, 1, POSITIONS - 1])
def test_a_call_withdrawn_before_its_claim_is_proven_not_started(ends, position: int):
    """The parent's proof and the worker's refusal come together."""
    parent, worker = ends
    assert parent.withdraw(position) is True
    assert worker.claim(position) == WITHDRAWN


@pytest.mark.parametrize("position", [0, 1, POSITIONS - 1])
def test_a_call_claimed_first_cannot_be_withdrawn(ends, position: int):
    """The worker runs it, and the parent knows that it may have run: also after its end."""
    parent, worker = ends
    assert worker.claim(position) == NO_REQUEST
    assert parent.withdraw(position) is False
    worker.end(position)
    assert parent.withdraw(position) is False


def test_claim_and_withdrawal_at_once_never_both_win(ends):
    """However the two race, no call is both proven not started and run."""
    parent, worker = ends
    barrier = threading.Barrier(2, timeout=30)
    withdrawn, claimed = [], []

    def claim_all() -> None:
        for position in range(POSITIONS):
            if position % 16 == 0:
                barrier.wait()
            claimed.append(worker.claim(position))

    thread = threading.Thread(target=claim_all)
    thread.start()
    for position in range(POSITIONS):
        if position % 16 == 0:
            barrier.wait()
        withdrawn.append(parent.withdraw(position))
    thread.join()
    assert all(request == WITHDRAWN for proven, request in zip(withdrawn, claimed, strict=True) if proven)


def test_positions_do_not_touch_each_other(ends):
    """Claims, ends and requests of one call leave all others alone."""
    parent, worker = ends
    worker.claim(5)
    worker.claim(255)
    worker.end(255)
    parent.request_interrupt(5)
    assert [position for position in range(POSITIONS) if parent.is_claimed(position)] == [5, 255]
    assert {position: worker.request(position) for position in range(POSITIONS) if worker.request(position)} == {
        5: INTERRUPT
    }


def test_an_interrupt_is_seen_by_the_running_call_and_by_a_later_claim(ends):
    """The signal's handler asks for the request, a claim returns it."""
    parent, worker = ends
    assert worker.claim(3) == NO_REQUEST
    assert worker.request(3) == NO_REQUEST
    parent.request_interrupt(3)
    assert worker.request(3) == INTERRUPT
    assert worker.claim(3) == INTERRUPT


def test_a_reset_position_is_as_new(ends):
    """The next call of a position inherits neither claim nor request."""
    parent, worker = ends
    worker.claim(9)
    worker.end(9)
    parent.withdraw(9)
    parent.reset(9)
    assert not parent.is_claimed(9)
    assert worker.claim(9) == NO_REQUEST


def test_the_heartbeat_reaches_the_parent(ends):
    """The worker's last sign of life."""
    parent, worker = ends
    assert parent.heartbeat() == 0.0
    worker.beat(12345.678)
    assert parent.heartbeat() == 12345.678


def test_the_page_is_laid_out_as_documented(ends):
    """Claims at 0, requests at 256, heartbeat at 512: other tools may read the page."""
    parent, worker = ends
    worker.claim(2)
    worker.end(3)
    parent.withdraw(4)
    parent.request_interrupt(5)
    worker.beat(1.5)
    memory = SharedMemory(os.dup(parent.fd), 4096)
    page = memory.mapped
    assert (page[2], page[3], page[256 + 4], page[256 + 5]) == (1, 2, 1, 2)
    assert struct.unpack_from("=d", page, 512) == (1.5,)
    assert sum(page[:512]) == 6
    memory.close()


def test_a_position_beyond_the_page_raises(ends):
    """A wrong position is a mistake, and not another call's byte."""
    parent, worker = ends
    for method in (worker.claim, parent.withdraw, parent.request_interrupt, parent.reset):
        with pytest.raises((IndexError, ValueError)):
            method(4096)
