"""Descriptors under a token: fetched once or as long as they are held, and nothing is left of them."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import threading
from collections.abc import Iterator

import pytest

from millpond.wire import descriptors
from millpond.wire.descriptors import Handle, Lease
from tests.leftovers import WAIT_S, Leftovers, wait_until


def servers() -> int:
    """Threads that give out descriptors."""
    return sum(thread.name == "millpond-descriptors" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No test ends with a descriptor or a thread that it did not begin with."""
    gc.collect()
    wait_until(lambda: not servers())  # of what other tests sent
    before = Leftovers()
    yield
    before.wait_gone()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe, closed afterwards."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def travelled(handle: Handle) -> Handle:
    """The handle as it arrives."""
    arrived: Handle = pickle.loads(pickle.dumps(handle, 5))
    return arrived


def closing(descriptor: int) -> None:
    """Close what was fetched, after a look that children do not get it."""
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_a_handle_leads_to_the_same_open_file(pipe):
    """What is written to the fetched end arrives at the other."""
    lease = Lease()
    fetched = travelled(lease.take(pipe[1])).detach()
    os.write(fetched, b"hello")
    assert os.read(pipe[0], 9) == b"hello"
    closing(fetched)


def test_a_descriptor_is_fetched_once(pipe):
    """Then this process has no copy any more: who waits for the other end to close does not wait for it."""
    lease = Lease()
    first, second = travelled(lease.take(pipe[1])), lease.take(pipe[0])
    closing(first.detach())
    with pytest.raises(OSError, match="fetched before"):
        first.detach()
    closing(second.detach())
    with pytest.raises(OSError, match="descriptor"):  # perhaps nobody listens any more
        second.detach()


def test_a_reused_lease_gives_it_again_until_it_is_given_up(pipe):
    """For what is read by more than one process: a pool's initial arguments."""
    lease = Lease()
    handle = travelled(lease.take(pipe[1]))
    other = Lease()
    other.hold(lease)
    other.reuse()
    del lease
    for _ in range(3):
        closing(handle.detach())
    del other
    gc.collect()
    with pytest.raises(OSError, match="descriptor"):
        handle.detach()


def test_what_nobody_fetched_is_closed_with_its_lease(pipe):
    """Of a call that never ran nothing stays, the thread neither."""
    lease = Lease()
    for _ in range(5):
        lease.take(pipe[0])
    assert servers() == 1
    del lease
    wait_until(lambda: not servers())


def test_a_stranger_gets_nothing(pipe):
    """Without the token there is no descriptor, and whoever says nothing is not waited for long."""
    lease = Lease()
    handle = lease.take(pipe[0])
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(handle.address)
        stranger.sendall(bytes(16))
        assert stranger.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(handle.address)
        closing(travelled(handle).detach())


def test_a_forked_child_keeps_none(pipe):
    """A copy in a child would keep the other end open."""
    lease = Lease()
    handle = lease.take(pipe[0])
    child = os.fork()
    if not child:
        os._exit(not (descriptors._keeper._kept == {} and descriptors._keeper._listener is None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    closing(handle.detach())


def test_threads_keep_and_give_up_at_once(pipe):
    """The thread that gives out begins and ends many times, and each handle finds the one it belongs to."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(50):
                lease = Lease()
                handle = lease.take(pipe[0])
                if number % 2:
                    closing(travelled(handle).detach())
                del lease, handle
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert not failed
