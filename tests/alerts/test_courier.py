"""Couriers: what they try again, what they give up, and that nobody waits for them."""

from __future__ import annotations

import threading

import pytest

from millpond.alerts.courier import MOST_WAITING, Courier, Patience, Undeliverable, merged
from millpond.alerts.notify import Notification
from tests.alerts.made import alert

UPPER_BOUND_S = 60.0
QUICK = Patience(first_s=0.001, longest_s=0.01, give_up_s=10.0)


class Steady:
    """Randomness that is none."""

    def random(self) -> float:
        return 0.5


class Channel:
    """Fails as often as it is told to, and may be held up."""

    def __init__(self, *failures: BaseException) -> None:
        self.name = "test"
        self.failures = list(failures)
        self.told: list[Notification] = []
        self.entered, self.released = threading.Semaphore(0), threading.Event()
        self.released.set()

    def deliver(self, notification: Notification) -> None:
        self.entered.release()
        assert self.released.wait(UPPER_BOUND_S)
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(notification)


def notification(*names: str, group: str = "A", state: str = "firing") -> Notification:
    return Notification("test", (("alertname", group),), tuple(alert(name, state) for name in names))


def names(one: Notification) -> list[str]:
    return [f"{each.name}:{each.state}" for each in one.alerts]


@pytest.fixture
def hired():
    """Makes couriers and ends them."""
    couriers = []

    def hire(channel: Channel, patience: Patience = QUICK) -> Courier:
        couriers.append(Courier(channel, patience, Steady()))
        return couriers[-1]

    yield hire
    for courier in couriers:
        courier.channel.released.set()
        courier.close(UPPER_BOUND_S)


def test_a_notification_is_told(hired):
    """And counted."""
    courier = hired(channel := Channel())
    courier.put(notification("A"))
    courier.close(UPPER_BOUND_S)
    assert [names(one) for one in channel.told] == [["A:firing"]]
    assert (courier.facts().sent, courier.facts().waiting) == (1, 0)


def test_what_fails_is_tried_again(hired):
    """Until it succeeds; then there is no last error."""
    courier = hired(channel := Channel(OSError("refused"), TimeoutError("slow"), RuntimeError("odd")))
    courier.put(notification("A"))
    courier.close(UPPER_BOUND_S)
    facts = courier.facts()
    assert len(channel.told) == 1
    assert (facts.sent, facts.failed, facts.retries, facts.last_error) == (1, 0, 3, "")


class Mute(BaseException):
    """No `Exception`, and its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize("error", [SystemExit(3), Mute()], ids=["SystemExit", "Mute"])
def test_a_channel_that_raises_what_is_no_exception_is_asked_again(hired, error):
    """Its thread is the pool's own: it would be told nothing any more."""
    channel = Channel(error)
    courier = hired(channel)
    courier.put(notification("a"))
    for _ in range(2):
        assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    courier.close(UPPER_BOUND_S)
    assert [names(one) for one in channel.told] == [["a:firing"]]


def test_what_is_undeliverable_is_not_tried_again(hired, caplog):
    """It is given up at once, logged and counted, and what comes next has its chance."""
    courier = hired(channel := Channel(Undeliverable("gone \u202e404")))
    courier.put(notification("A", group="A"))
    courier.put(notification("B", group="B"))
    courier.close(UPPER_BOUND_S)
    assert [names(one) for one in channel.told] == [["B:firing"]]
    assert (courier.facts().sent, courier.facts().failed, courier.facts().retries) == (1, 1, 0)
    assert "gave up" in caplog.text
    assert "\u202e" not in caplog.text


def test_patience_has_an_end(hired):
    """What fails for too long is given up."""
    courier = hired(Channel(*[OSError("refused")] * 5), Patience(first_s=0.001, longest_s=0.001, give_up_s=0.0))
    courier.put(notification("A"))
    courier.close(UPPER_BOUND_S)
    assert (courier.facts().failed, courier.facts().retries) == (1, 0)
    assert courier.facts().last_error == "OSError: refused"


def test_a_dead_channel_holds_up_nobody(hired):
    """Putting never waits. When the queue is full a group's notifications are merged; what has none is dropped, oldest
    first; the rest is told in order once the channel lives again.
    """
    channel = Channel()
    channel.released.clear()
    courier = hired(channel)
    courier.put(notification("first"))
    assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    for number in range(MOST_WAITING + 10):
        courier.put(notification("A", group=str(number)))
    for _ in range(3):
        courier.put(notification("B", group="30"))
    facts = courier.facts()
    assert (facts.waiting, facts.dropped) == (MOST_WAITING + 1, 10)
    channel.released.set()
    courier.close(UPPER_BOUND_S)
    groups = [dict(one.group)["alertname"] for one in channel.told[1:]]
    assert groups == [str(number) for number in range(10, MOST_WAITING + 10) if number != 30] + ["30"]
    assert names(channel.told[-1]) == ["B:firing"]


def test_what_is_over_is_not_lost_by_merging():
    """The newer notification does not repeat the ends that the older would have told."""
    older = Notification("test", (), (alert("A", "resolved"), alert("B"), alert("C", "resolved")))
    newer = Notification("test", (), (alert("C"), alert("D")))
    assert names(merged(older, newer)) == ["C:firing", "D:firing", "A:resolved"]


def test_closing_is_bounded_and_final(hired):
    """A channel that hangs is left behind, and nothing is taken afterwards."""
    channel = Channel()
    channel.released.clear()
    courier = hired(channel)
    courier.put(notification("A"))
    assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    courier.put(notification("B", group="B"))
    courier.close(0.01)
    courier.put(notification("C", group="C"))
    assert courier.facts().dropped == 2


def test_closing_ends_a_pause(hired):
    """Nobody waits a minute for the next attempt."""
    courier = hired(channel := Channel(OSError("refused")), Patience(first_s=3600.0, longest_s=3600.0))
    courier.put(notification("A"))
    assert channel.entered.acquire(timeout=UPPER_BOUND_S)
    courier.close(0.01)
    courier.close(UPPER_BOUND_S)
    assert courier.facts().failed == 1
