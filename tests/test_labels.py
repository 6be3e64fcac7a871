"""The names a program gives are checked where they come in, and made of what Python calls things without fail."""

from __future__ import annotations

import pytest

import millpond
from millpond.labels import check_label, is_label, made_label
from millpond.telemetry.bus import Bus
from millpond.testing import FakeEngine
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


class Named(str):
    """A name of the program's own kind."""

    __slots__ = ()

    def __hash__(self):
        raise LookupError

    __len__ = __eq__ = __str__ = encode = __hash__


def test_a_name_of_a_subclass_is_taken_as_plain_text():
    """Nothing runs its methods, and it travels: an enumeration's member, markup, a path's name."""
    assert type(check_label("a name", Named("user"))) is str
    with pytest.raises(ValueError, match="1 to 256 bytes"):
        check_label("a name", Named())


async def test_a_session_is_one_whatever_kind_its_name_is_of():
    """By `pool.session` and by `options(session=...)`."""

    class Notebook:
        def note(self, *, session):
            session.state["n"] = session.state.get("n", 0) + 1
            return session.state["n"], type(session.id) is str

    async with millpond.Pool(Notebook, engine=FakeEngine(), max_workers=1) as pool:
        handle = await pool.session(Named("user"))
        assert await handle.call("note") == (1, True)
        assert await pool.options(session=Named("user")).call("note") == (2, True)
        assert await pool.options(session="user").call("note") == (3, True)


def test_a_choice_that_is_none_is_refused_where_the_session_is_named():
    """As the pool's own setting would be."""
    pool = millpond.Pool(None)
    with pytest.raises(ValueError, match="affinity must be one of 'strict', 'fail_fast', 'hint', not 'sticky'"):
        pool.session("user", affinity="sticky")
    with pytest.raises(ValueError, match="on_restore must be one of"):
        pool.session("user", on_restore=[])
    pool.close_unopened()
