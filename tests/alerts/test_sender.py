"""Senders: what they try again, what they give up, and that nobody waits for them."""

from __future__ import annotations

import threading

import pytest

from millpond.alerts.notify import Notification
from millpond.alerts.sender import MOST_WAITING, RetryPolicy, Sender, Undeliverable, merged
from tests.alerts.made import alert

UPPER_BOUND_S = 60.0
QUICK = RetryPolicy(first_s=0.001, longest_s=0.01, give_up_s=10.0)


class Steady:
    """Randomness that is none."""

    def random(self) -> float:
        return 0.5


class Channel:
    """Raises the given failures one after the other, and may be held up."""

    def __init__(self, *failures: BaseException) -> None:
        self.name = "test"
        self.failures = list(failures)
        self.sent: list[Notification] = []
        self.entered, self.released = threading.Semaphore(0), threading.Event()
        self.released.set()

    def deliver(self, notification: Notification) -> None:
        self.entered.release()
        assert self.released.wait(UPPER_BOUND_S)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(notification)


def notification(*names: str, group: str = "A", state: str = "firing") -> Notification:
    return Notification("test", (("alertname", group),), tuple(alert(name, state) for name in names))


def names(one: Notification) -> list[str]:
    return [f"{each.name}:{each.state}" for each in one.alerts]


@pytest.fixture
def make_sender():
    """Makes senders and ends them."""
    senders = []

    def make(channel: Channel, retry_policy: RetryPolicy = QUICK) -> Sender:
        senders.append(Sender(channel, retry_policy, Steady()))
        return senders[-1]

    yield make
    for sender in senders:
        sender.channel.released.set()
        sender.close(UPPER_BOUND_S)


def test_a_notification_is_sent(make_sender):
    """And counted."""
    sender = make_sender(channel := Channel())
    sender.put(notification("A"))
    sender.close(UPPER_BOUND_S)
    assert [names(one) for one in channel.sent] == [["A:firing"]]
    assert (sender.facts().sent, sender.facts().waiting) == (1, 0)


def test_what_fails_is_tried_again(make_sender):
    """Until it succeeds; then there is no last error."""
    sender = make_sender(channel := Channel(OSError("refused"), TimeoutError("slow"), RuntimeError("odd")))
    sender.put(notification("A"))
    sender.close(UPPER_BOUND_S)
    facts = sender.facts()
    assert len(channel.sent) == 1
    assert (facts.sent, facts.failed, facts.retries, facts.last_error) == (1, 0, 3, "")


class Mute(BaseException):
    """No `Exception`, and its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize("error", [SystemExit(3), Mute()], ids=["SystemExit", "Mute"])
def test_a_channel_that_raises_what_is_no_exception_is_asked_again(make_sender, error):
    """Its thread is the pool's own: nothing would be sent any more."""
    channel = Channel(error)
    sender = make_sender(channel)
    sender.put(notification("a"))
    for _ in range(2):
        assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    sender.close(UPPER_BOUND_S)
    assert [names(one) for one in channel.sent] == [["a:firing"]]


def test_what_is_undeliverable_is_not_tried_again(make_sender, caplog):
    """It is given up at once, logged and counted, and what comes next has its chance."""
    sender = make_sender(channel := Channel(Undeliverable("gone \u202e404")))
    sender.put(notification("A", group="A"))
    sender.put(notification("B", group="B"))
    sender.close(UPPER_BOUND_S)
    assert [names(one) for one in channel.sent] == [["B:firing"]]
    assert (sender.facts().sent, sender.facts().failed, sender.facts().retries) == (1, 1, 0)
    assert "gave up" in caplog.text
    assert "\u202e" not in caplog.text


def test_patience_has_an_end(make_sender):
    """What fails for too long is given up."""
    sender = make_sender(Channel(*[OSError("refused")] * 5), RetryPolicy(first_s=0.001, longest_s=0.001, give_up_s=0.0))
    sender.put(notification("A"))
    sender.close(UPPER_BOUND_S)
    assert (sender.facts().failed, sender.facts().retries) == (1, 0)
    assert sender.facts().last_error == "OSError: refused"


def test_a_dead_channel_holds_up_nobody(make_sender):
    """Putting never waits. When the queue is full a group's notifications are merged; what has none is dropped, oldest
    first; the rest is sent in order once the channel lives again.
    """
    channel = Channel()
    channel.released.clear()
    sender = make_sender(channel)
    sender.put(notification("first"))
    assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    for number in range(MOST_WAITING + 10):
        sender.put(notification("A", group=str(number)))
    for _ in range(3):
        sender.put(notification("B", group="30"))
    facts = sender.facts()
    assert (facts.waiting, facts.dropped) == (MOST_WAITING + 1, 10)
    channel.released.set()
    sender.close(UPPER_BOUND_S)
    groups = [dict(one.group)["alertname"] for one in channel.sent[1:]]
    assert groups == [str(number) for number in range(10, MOST_WAITING + 10) if number != 30] + ["30"]
    assert names(channel.sent[-1]) == ["B:firing"]


def test_what_is_over_is_not_lost_by_merging():
    """The newer notification does not repeat the ends that the older would have sent."""
    older = Notification("test", (), (alert("A", "resolved"), alert("B"), alert("C", "resolved")))
    newer = Notification("test", (), (alert("C"), alert("D")))
    assert names(merged(older, newer)) == ["C:firing", "D:firing", "A:resolved"]


def test_closing_is_bounded_and_final(make_sender):
    """A channel that hangs is left behind, and nothing is taken afterwards."""
    channel = Channel()
    channel.released.clear()
    sender = make_sender(channel)
    sender.put(notification("A"))
    assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    sender.put(notification("B", group="B"))
    sender.close(0.01)
    sender.put(notification("C", group="C"))
    assert sender.facts().dropped == 2


def test_closing_ends_a_pause(make_sender):
    """Nobody waits a minute for the next attempt."""
    sender = make_sender(channel := Channel(OSError("refused")), RetryPolicy(first_s=3600.0, longest_s=3600.0))
    sender.put(notification("A"))
    assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    sender.close(0.01)
    sender.close(UPPER_BOUND_S)
    assert sender.facts().failed == 1
