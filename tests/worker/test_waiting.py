"""When a worker polls for its next request, and when it sleeps: against a channel that says what it was asked."""

import socket

import pytest

from millpond.worker import loop
from millpond.worker.loop import Waiting

BUSY_POLL_S = 0.02
POLL_S = BUSY_POLL_S / 8  # what one look costs here
SLEPT, POLLED = 0, socket.MSG_DONTWAIT

now = 0.0


class ScriptedChannel:
    """Gives the frames of a script; a wait without `MSG_DONTWAIT` first takes `nap_s`, as sleeping would."""

    def __init__(self, *script: list[object], nap_s: float = 0.0) -> None:
        self.asked: list[int] = []
        self._script = list(script)
        self._nap_s = nap_s

    def receive(self, flags: int = 0) -> list[object]:
        global now
        self.asked.append(flags)
        now += self._nap_s if flags == SLEPT else POLL_S
        return self._script.pop(0) if self._script else []


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    """And a clock on which nothing takes time but what the channel says."""
    monkeypatch.setattr(loop, "cores", lambda: 2)
    monkeypatch.setattr(loop, "monotonic", lambda: now)


def test_the_first_request_is_waited_for_asleep():
    """A worker that was never asked anything burns no time."""
    channel = ScriptedChannel(["a"])
    assert Waiting(channel, BUSY_POLL_S).receive() == ["a"]
    assert channel.asked == [SLEPT]


def test_a_lone_request_that_came_soon_is_followed_by_a_poll():
    """One caller at a time is answered without waking anybody."""
    channel = ScriptedChannel(["a"], [], ["b"])
    waits = Waiting(channel, BUSY_POLL_S)
    assert [waits.receive(), waits.receive()] == [["a"], ["b"]]
    assert channel.asked == [SLEPT, POLLED, POLLED]


def test_requests_that_come_together_are_followed_by_sleep():
    """A worker that has company enough leaves the core to whoever sends."""
    channel = ScriptedChannel(["a", "b"], ["c"])
    waits = Waiting(channel, BUSY_POLL_S)
    waits.receive()
    waits.receive()
    assert channel.asked == [SLEPT, SLEPT]


def test_a_request_that_came_late_is_followed_by_sleep():
    """A worker that is rarely asked never polls."""
    channel = ScriptedChannel(["a"], ["b"], nap_s=2 * BUSY_POLL_S)
    waits = Waiting(channel, BUSY_POLL_S)
    waits.receive()
    waits.receive()
    assert channel.asked == [SLEPT, SLEPT]


def test_a_poll_in_vain_ends_in_sleep_and_is_not_repeated():
    """The end of a burst costs one poll, however long nobody asks after it."""
    channel = ScriptedChannel(["a"])
    waits = Waiting(channel, BUSY_POLL_S)
    waits.receive()
    assert waits.receive() == []
    assert channel.asked[1] == POLLED
    assert channel.asked[-1] == SLEPT
    polls = channel.asked.count(POLLED)
    waits.receive()
    assert channel.asked.count(POLLED) == polls


def test_nothing_is_polled_where_it_is_switched_off():
    """`busy_poll=0` means that a waiting worker sleeps."""
    channel = ScriptedChannel(["a"], ["b"])
    waits = Waiting(channel, 0.0)
    waits.receive()
    waits.receive()
    assert channel.asked == [SLEPT, SLEPT]


def test_nothing_is_polled_on_a_single_core(monkeypatch):
    """There the one that would send the request could not run meanwhile."""
    monkeypatch.setattr(loop, "cores", lambda: 1)
    channel = ScriptedChannel(["a"], ["b"])
    waits = Waiting(channel, BUSY_POLL_S)
    waits.receive()
    waits.receive()
    assert channel.asked == [SLEPT, SLEPT]
