"""The contract of `SessionStore`, over every store there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.seams import SessionRecord, SessionStore
from millpond.sessions.memory import MemoryStore
from millpond.sessions.sqlite import SqliteStore

KINDS = ("memory", "sqlite", "sqlite, synced")


def make(kind: str, folder: Path) -> SessionStore:
    store: SessionStore = MemoryStore()
    if kind != "memory":
        store = SqliteStore(folder / "sessions.db", "pool", is_synced=kind == "sqlite, synced")
    store.open()
    return store


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionStore]:
    """An open, empty store of each kind."""
    made = make(request.param, tmp_path)
    yield made
    made.close()


def record(
    session_id: str = "a", age: tuple[int, int, int] = (1, 1, 1), state: bytes = b"state", saved_at: float = 5.0
) -> SessionRecord:
    return SessionRecord(session_id, *age, state, "pickle", saved_at)


def test_what_was_put_is_got_whole(store):
    """Every field, also of a state that is empty or holds any byte."""
    kept = [record("empty", state=b""), record("bytes", (3, 2, 1), bytes(range(256)) * 100, 7.25)]
    store.put_many(kept)
    assert [store.get(one.id) for one in kept] == kept
    assert sorted(store.ids()) == ["bytes", "empty"]


def test_reading_takes_nothing_out(store):
    """A wake that fails may be tried again."""
    store.put_many([record()])
    assert store.get("a") == store.get("a") == record()


def test_what_is_not_there_is_none(store):
    """Neither an id that never was nor one that was forgotten is an error."""
    assert store.get("a") is None
    store.delete_many([("a", 1)])
    assert (store.get("a"), store.ids()) == (None, [])


def test_a_newer_record_takes_the_place_of_an_older(store):
    """By generation first, then lease, then version; one of the same age is the same one, told again."""
    for age in ((1, 1, 1), (1, 1, 2), (1, 2, 0), (2, 1, 0), (2, 1, 0)):
        newer = record(age=age, state=repr(age).encode())
        store.put_many([newer])
        assert store.get("a") == newer


@pytest.mark.parametrize("late", [(2, 2, 1), (2, 1, 9), (1, 9, 9)])
def test_a_late_record_changes_nothing(store, late):
    """An older version, lease or generation never overwrites a newer state; the others of its batch are kept."""
    store.put_many([record(age=(2, 2, 2), state=b"newer")])
    store.put_many([record("b"), record(age=late, state=b"older"), record("c")])
    assert store.get("a") == record(age=(2, 2, 2), state=b"newer")
    assert sorted(store.ids()) == ["a", "b", "c"]


def test_within_one_batch_the_newest_wins(store):
    """In whatever order they stand in it."""
    store.put_many([record(age=(1, 1, 3), state=b"new"), record(age=(1, 1, 2), state=b"old")])
    assert store.get("a") == record(age=(1, 1, 3), state=b"new")


def test_erasing_spares_a_later_generation(store):
    """The session was reopened: the erasure was meant for the one before."""
    store.put_many([record("a", (2, 1, 1)), record("b", (1, 9, 9))])
    store.delete_many([("a", 1), ("b", 1)])
    assert store.ids() == ["a"]
    store.delete_many([("a", 2)])
    assert store.ids() == []


def test_after_erasing_an_id_is_new(store):
    """A session of that name may begin again at the lowest lease."""
    store.put_many([record(age=(1, 9, 9))])
    store.delete_many([("a", 1)])
    store.put_many([record(age=(1, 1, 0))])
    assert store.get("a") == record(age=(1, 1, 0))


def test_what_is_old_can_be_forgotten(store):
    """By the time it was saved, and only what is older than that."""
    store.put_many([record("old", saved_at=4.0), record("edge", saved_at=5.0), record("new", saved_at=6.0)])
    assert store.forget_before(5.0) == 1
    assert sorted(store.ids()) == ["edge", "new"]


@pytest.mark.parametrize("name", ["", "user/42", "a\x00b", "Zürich \U0001f40b", "lone \ud800 surrogate", "x" * 10_000])
def test_any_string_is_an_id(store, name):
    """Callers choose their ids; two different ones are never one."""
    store.put_many([record(name), record(name + "'")])
    assert store.get(name) == record(name)
    assert set(store.ids()) == {name, name + "'"}


def test_closing_twice_and_opening_again_is_no_error(store):
    """What survives is there again, what does not is not."""
    store.put_many([record()])
    store.close()
    store.close()
    store.open()
    assert store.get("a") == (record() if store.survives else None)


AGES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
PUTS = st.lists(st.tuples(st.sampled_from("ab"), AGES), max_size=4)
DELETES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), min_size=1, max_size=2)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.one_of(st.tuples(st.just("put"), PUTS), st.tuples(st.just("delete"), DELETES)), max_size=12))
def test_what_is_there_is_the_newest_since_the_last_erasure(kind, tmp_path_factory, steps):
    """Whatever is put and erased in whatever order: fencing holds, and nothing else is lost."""
    store = make(kind, tmp_path_factory.mktemp("fencing"))
    newest: dict[str, tuple[int, int, int]] = {}
    for verb, what in steps:
        if verb == "put":
            store.put_many([record(name, age, repr(age).encode()) for name, age in what])
            for name, age in what:
                newest[name] = max(age, newest.get(name, age))
        else:
            store.delete_many(what)
            for name, generation in what:
                if name in newest and newest[name][0] <= generation:
                    del newest[name]
        assert {name: store.get(name).age for name in store.ids()} == newest
    store.close()
