"""How many wrong tokens an address may send in a second."""

from __future__ import annotations

from millpond.http.access.attempts import ADDRESSES, LIMIT, Attempts


def test_ten_wrong_tokens_a_second_are_answered_and_the_rest_refused():
    """The next second begins anew."""
    attempts = Attempts()
    refused = [attempts.is_one_too_many(("192.0.2.1", n), 5.0 + n / 100) for n in range(LIMIT + 3)]
    assert refused == [False] * LIMIT + [True] * 3
    assert not attempts.is_one_too_many(("192.0.2.1", 1), 6.0)


def test_addresses_are_counted_apart_and_networks_of_version_6_together():
    """Whoever has one IPv6 address has 2**64 of them; those that mean one of version 4 are that one."""
    attempts = Attempts()
    for n in range(LIMIT):
        attempts.is_one_too_many((f"2001:db8:0:1::{n:x}", 1), 5.0)
        attempts.is_one_too_many(("192.0.2.1", 1), 5.0)
    assert attempts.is_one_too_many(("2001:db8:0:1:ffff::1", 1), 5.0)
    assert attempts.is_one_too_many(("::ffff:192.0.2.1", 1), 5.0)
    for other in ("2001:db8:0:2::1", "192.0.2.2", "not an address", "fe80::1%eth0", ":"):
        assert not attempts.is_one_too_many((other, 1), 5.0)
    assert not attempts.is_one_too_many(None, 5.0)


def test_thousands_of_addresses_take_no_more_room():
    """The longest known is forgotten for a new one; one that goes on is not."""
    attempts = Attempts()
    for n in range(10 * ADDRESSES):
        attempts.is_one_too_many((f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1), 5.0)
        attempts.is_one_too_many(("192.0.2.1", 1), 5.0)
    assert len(attempts._windows) == ADDRESSES
    assert attempts.is_one_too_many(("192.0.2.1", 1), 5.0)


def test_a_clock_that_goes_back_begins_a_new_window():
    """Nobody is refused for longer than a second."""
    attempts = Attempts()
    for _ in range(LIMIT + 1):
        attempts.is_one_too_many(("192.0.2.1", 1), 5.0)
    assert not attempts.is_one_too_many(("192.0.2.1", 1), 4.0)
