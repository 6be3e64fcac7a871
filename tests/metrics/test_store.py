"""History on disk: it comes back after a restart, has a bound, and its troubles are its own."""

import resource
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from millpond.metrics import store as store_module
from millpond.metrics.store import KEEP_S, Boot, HistoryStore
from tests.metrics.pond import Time
from tests.metrics.test_history import slot

WALL = 1.8e9
BOUND = 1024 * 1024  # bytes of a file


def opened(path, boot="boot-1", pool="pond", wall=lambda: WALL, **options) -> HistoryStore:
    return HistoryStore(path, Boot(boot, pool, wall()), wall, **options)


@pytest.fixture
def make(tmp_path):
    """Opens stores and closes them after the test."""
    made = []

    def make(path=None, **options):
        made.append(opened(path or tmp_path / "history.db", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "millpond-history"]


def at(wall, submitted=1, **facts):
    """A slot that ended at a wall time."""
    return replace(slot(at=wall - WALL, submitted=submitted, waits=[0.5], **facts), wall=wall)


def read(store, step=60):
    return store.read(step, 0.0, 2 * WALL)


def test_what_was_put_is_read_back_as_it_was(make):
    """Numbers, histograms and times."""
    store = make()
    store.put(60, at(WALL, submitted=7, queued=3))
    assert store.settle()
    (found,) = read(store)
    assert (found.wall, found.counter("submitted"), found.gauge("queued")) == (WALL, 7.0, 3.0)
    assert found.histograms["wait"].count == 1
    assert store.stored_bytes > 0


def test_history_outlives_the_pool_and_tells_its_runs_apart(make):
    """Every run has its epoch: a counter that begins at 0 again is no mystery."""
    first = make(boot="first")
    first.put(60, at(WALL))
    first.close()
    second = make(boot="second", wall=lambda: WALL + 100)
    second.put(60, at(WALL + 100))
    assert second.settle()
    assert [one.boot for one in read(second)] == ["first", "second"]


def test_pools_that_share_a_file_do_not_see_each_other(make):
    """Nor write over each other."""
    one, other = make(pool="one", boot="a"), make(pool="other", boot="b")
    for store, n in ((one, 1), (other, 2)):
        store.put(60, at(WALL, submitted=n))
        assert store.settle()
    assert [found.counter("submitted") for found in read(one)] == [1.0]
    assert [found.counter("submitted") for found in read(other)] == [2.0]


def test_a_second_is_no_history(make):
    """Steps of ten seconds and a minute are kept; seconds would only wear the disk."""
    store = make()
    store.put(1, at(WALL))
    assert store.settle()
    assert read(store, 1) == []


def test_what_is_too_old_goes(make):
    """Each resolution has its time."""
    now = Time(WALL, 0.0)
    store = make(wall=now)
    for step in KEEP_S:
        store.put(step, at(WALL))
    assert store.settle()
    now.now += KEEP_S[10] + 60
    store.put(10, at(now.now))
    assert store.settle()
    store.close()
    later = make(boot="later", wall=now)
    later.put(10, at(now.now + 10))
    assert later.settle()
    assert [found.wall for found in read(later, 10)] == [now.now, now.now + 10]
    assert len(read(later, 60)) == 1


def test_what_comes_at_once_costs_no_more_history_than_it_takes_room(make):
    """However many slots waited for the writer, and are written together."""
    store = make(most_bytes=BOUND)
    for first in (0, 900):
        with store._writer._changed:  # which the writer needs
            for n in range(first, first + 900):
                store.put(60, at(WALL + n))
        assert store.settle()
    assert 0.5 * BOUND < store.stored_bytes <= BOUND
    assert read(store)[-1].wall == WALL + 1_799


def test_the_file_stays_within_its_bound_and_the_newest_stays(make, tmp_path):
    """The oldest tenth goes when it is full."""
    store = make(most_bytes=BOUND)
    for n in range(3_000):
        store.put(60, at(WALL + n))
        if not n % 500:
            assert store.settle()
    assert store.settle()
    assert not store.error
    assert 0.5 * BOUND < store.stored_bytes <= BOUND
    found = read(store)
    assert found[-1].wall == WALL + 2_999
    assert found[0].wall > WALL
    store.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * BOUND


def test_a_file_of_rows_in_another_order_is_read_by_name(make, tmp_path):
    """The columns of a later version may stand elsewhere."""
    store = make()
    store.put(60, at(WALL, submitted=7))
    assert store.settle()
    with sqlite3.connect(tmp_path / "history.db") as connection:
        names = connection.execute("SELECT counters FROM boots").fetchone()[0]
        connection.execute("UPDATE boots SET counters = ?", (names.replace('"submitted"', '"was_submitted"'),))
    connection.close()
    (found,) = read(store)
    assert found.counter("submitted") == 0.0
    assert found.gauge("wanted") == 0.0


@pytest.mark.parametrize("kind", ["garbage", "folder", "later version", "no room for a folder"])
def test_a_file_that_cannot_be_written_costs_history_and_says_why(make, tmp_path, kind):
    """Nothing is raised, nothing is waited for, what was there is not touched."""
    path = tmp_path / "history.db"
    if kind == "garbage":
        path.write_bytes(b"something else altogether" * 100)
    elif kind == "folder":
        path.mkdir()
    elif kind == "later version":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "history.db"
    before = path.read_bytes() if path.is_file() else b""
    store = make(path)
    store.put(60, at(WALL))
    assert store.settle()
    assert store.error
    assert store.dropped == 1
    if kind == "garbage":
        assert read(store) == []
        assert path.read_bytes() == before


def test_a_disk_that_is_full_costs_history_and_is_tried_again(make, monkeypatch):
    """What was kept stays readable; when there is room again, history goes on."""
    monkeypatch.setattr(store_module, "TRY_AGAIN_S", 0.01)
    store = make()
    store.put(60, at(WALL))
    assert store.settle()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))  # no file may grow beyond it
    try:
        for n in range(1, 200):
            store.put(60, at(WALL + n))
            assert store.settle()
            if store.error:
                break
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.error
    assert store.dropped > 0
    deadline = time.monotonic() + 60.0
    while store.error and time.monotonic() < deadline:
        n += 1
        store.put(60, at(WALL + n))
        assert store.settle()
    assert store.error == ""
    found = [one.wall for one in read(store)]
    assert found[0] == WALL
    assert found[-1] == WALL + n


def test_a_writer_that_is_stuck_makes_nobody_wait(make, monkeypatch):
    """Slots are dropped and counted once a thousand wait for the one that is written."""
    held = threading.Event()
    monkeypatch.setattr(store_module, "_shrink", lambda *_: held.wait(10.0) and 0)
    store = make()
    for n in range(2_100):
        store.put(60, at(WALL + n))
    assert store.dropped >= 100
    held.set()
    assert store.settle(20.0)
    assert len(read(store)) == 2_100 - store.dropped


def test_reading_a_file_that_is_gone_is_no_error(make, tmp_path):
    """Somebody deleted it: history is empty."""
    store = make()
    assert store.settle()
    store.close()
    for path in Path(tmp_path).iterdir():
        path.unlink()
    assert read(store) == []
    assert not list(tmp_path.iterdir())


def test_asking_before_the_first_slot_is_no_error(make, caplog):
    """The file is made with the first slot, ten seconds after opening; until then there is nothing to warn of."""
    store = make()
    assert read(store) == []
    assert (store.error, caplog.records) == ("", [])


def test_a_file_that_is_just_being_made_has_no_history_yet(make, caplog):
    """A reader beside the writer of the first slot finds no tables, which is no failure."""
    store = make()
    store.path.touch()
    assert read(store) == []
    assert (store.error, caplog.records) == ("", [])


def test_what_a_reader_met_is_over_with_the_next_slot(make, monkeypatch):
    """A reader that found the file locked does not have the history called degraded for ever."""
    store = make()
    store.put(60, at(WALL))
    assert store.settle()

    def refuse(*_):
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr("millpond.metrics.store.connect", refuse)
        assert read(store) == []
    assert store.error
    store.put(60, at(WALL + 60))
    assert store.settle()
    assert store.error == ""
    assert len(read(store)) == 2


def test_only_its_owner_may_read_it(make, tmp_path, monkeypatch):
    """Nor those beside it while it is written; one that all could read is mended."""
    modes, shrink = {}, store_module._shrink

    def looked(*given):
        modes.update({file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()})
        return shrink(*given)

    monkeypatch.setattr(store_module, "_shrink", looked)
    path = tmp_path / "history.db"
    for boot in ("new", "old"):
        store = make(path, boot=boot)
        store.put(60, at(WALL))
        assert store.settle()
        assert modes == {"history.db": 0o600, "history.db-wal": 0o600, "history.db-shm": 0o600}
        for file in tmp_path.iterdir():
            file.chmod(0o644)
