"""The names a program gives are checked where they come in, and made of what Python calls things without fail."""

from __future__ import annotations

import pytest

import millpond
from millpond.labels import check_label, is_label, made_label
from millpond.telemetry.bus import Bus
from millpond.worker.handler import facts_of

HALF = "user-\udcff"  # what os.fsdecode makes of b"user-\xff"
LONG = "\u00e9" * 129  # 258 bytes


@pytest.mark.parametrize("name", ["", HALF, LONG, "x" * 257])
def test_a_name_is_one_to_256_bytes_of_utf_8(name):
    """What could not travel, or fills logs and labels, is refused at the entrance with a sentence that says why."""
    pool = millpond.Pool(None)
    entrances = [
        lambda: pool.session(name),
        lambda: pool.options(session=name),
        lambda: millpond.Pool(None, name=name),
        lambda: Bus().attach(name, None, print),
        lambda: check_label("a name", name),
    ]
    for entrance in entrances:
        with pytest.raises(ValueError, match="1 to 256 bytes of UTF-8"):
            entrance()
    pool.close_unopened()


def test_names_up_to_the_bound_are_taken():
    """In bytes, whatever the letters."""
    assert check_label("a name", "\u00e9" * 128) == "\u00e9" * 128
    assert is_label("x" * 256)
    with pytest.raises(TypeError, match="a session id is a string, not 7"):
        millpond.Pool(None).session(7)


def test_a_handler_with_an_operation_that_has_no_name_cannot_be_one():
    """It is said when its class is looked at, before any call."""

    class Odd:
        pass

    setattr(Odd, "x" * 257, lambda self: None)
    with pytest.raises(ValueError, match="an operation's name is 1 to 256 bytes"):
        facts_of(Odd)


def test_a_function_is_known_by_a_name_that_can_travel():
    """Functions are named by Python, and what it calls them may be anything: so the name is made to fit."""
    assert made_label("module.f") == "module.f"
    assert made_label(HALF) == "user-\\udcff"
    assert len(made_label(LONG).encode()) == 256
    assert made_label("") == "nameless"
