"""The store client: each order about a session at rest is answered once, on the loop, and nothing committed is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.errors import StoreFailed
from millpond.logger.delivery import DELIVERY
from millpond.runtime import store_client, store_writer
from millpond.runtime.store_client import StoreClient
from millpond.seams import SessionRecord
from millpond.sessions.memory import MemoryStore
from millpond.sessions.sqlite import SqliteStore
from millpond.settings import Settings
from millpond.wire.codec import Encoded
from millpond.wire.segments import Parts, joined, unpack
from tests.leftovers import Leftovers
from tests.runtime.stores import SlowStore, full

NOW = 1_000_000.0


def record(name: str = "a", lease: int = 1, version: int = 0, state: object = b"state", generation: int = 1):
    return SessionRecord(name, generation, lease, version, state)


class Rig:
    """An open client and what it answered, in order: (label, state, error)."""

    def __init__(self, store, **options) -> None:
        self.store = store
        settings = Settings(session_store=store, session_ttl=None, **options)
        self.client = StoreClient(settings, "pool", lambda: NOW)
        self.told: list[tuple[str, object, str]] = []

    async def __aenter__(self) -> Rig:
        await self.client.open()
        return self

    async def __aexit__(self, *_) -> None:
        if isinstance(self.store, SlowStore):
            self.store.release()
        await self.client.close()

    def answer(self, label: str):
        return lambda found, error: self.told.append((label, found and found.state, str(error or "")))

    def put(self, label: str, one: SessionRecord) -> None:
        self.client.store(one, self.answer(label))

    def recall(self, label: str, session_id: str = "a") -> None:
        self.client.recall(session_id, self.answer(label))

    async def hear(self, count: int) -> list[tuple[str, object, str]]:
        """Wait for so many answers in all."""
        heard = asyncio.Event()
        self.client.batch_end = heard.set
        async with asyncio.timeout(20):
            while len(self.told) < count:
                heard.clear()
                await heard.wait()
        return self.told


async def test_memory_is_used_at_once():
    """There is no thread, and the answer is there when the order was given."""
    before = Leftovers()
    async with Rig(MemoryStore()) as rig:
        rig.put("stored", record())
        rig.recall("read")
        rig.client.erase("a", 1)
        rig.recall("gone")
        assert rig.told == [("stored", None, ""), ("read", b"state", ""), ("gone", None, "")]
        assert not before.threads()


async def test_a_store_that_waits_has_a_thread_of_its_own():
    """One for all it does, gone when the client is closed; answers are told on the loop's."""
    before = Leftovers()
    store = SlowStore()
    async with Rig(store) as rig:
        rig.put("stored", record())
        rig.recall("read")
        await rig.hear(2)
        assert len(store.threads) == 1
        assert threading.get_ident() not in store.threads
    await before.gone()


async def test_what_comes_during_a_commit_shares_the_next():
    """Group commit: a hundred callers wait for two commits, not for a hundred."""
    store = SlowStore()
    store.hold()
    async with Rig(store) as rig:
        rig.put("first", record("first"))
        store.wait_held()
        for number in range(100):
            rig.put(f"{number}", record(f"{number}"))
        store.release()
        told = await rig.hear(101)
    assert [len(batch) for batch in store.batches] == [1, 100]
    assert [label for label, _, error in told if not error] == ["first", *map(str, range(100))]


async def test_a_commit_is_bounded_in_number_and_bytes(monkeypatch):
    """A session that is woken waits for one commit at most, so none may be endless; one large state goes alone."""
    monkeypatch.setattr(store_writer, "MOST_RECORDS", 3)
    monkeypatch.setattr(store_writer, "MOST_BYTES", 100)
    store = SlowStore()
    store.hold()
    async with Rig(store) as rig:
        rig.put("first", record("first"))
        store.wait_held()
        for name, size in (("b", 60), ("c", 60), ("d", 500), ("e", 1), ("f", 1), ("g", 1), ("h", 1)):
            rig.put(name, record(name, state=bytes(size)))
        store.release()
        await rig.hear(8)
    assert ["".join(one.id for one in batch) for batch in store.batches[1:]] == ["b", "c", "d", "efg", "h"]


async def test_only_the_newest_of_what_waits_is_written():
    """And it answers for those it replaced: they are contained in it."""
    store = SlowStore()
    store.hold()
    async with Rig(store) as rig:
        rig.put("first", record("z"))
        store.wait_held()
        for version in (1, 2, 3):
            rig.put(f"v{version}", record(version=version, state=b"%d" % version))
        store.release()
        told = await rig.hear(4)
    assert [one.state for one in store.batches[1]] == [b"3"]
    assert [label for label, _, error in told if not error] == ["first", "v1", "v2", "v3"]


async def test_a_wake_does_not_wait_for_what_is_to_be_written():
    """Reads go before the next commit, and see what it will write."""
    store = SlowStore()
    store.hold()
    async with Rig(store) as rig:
        rig.put("first", record("z"))
        store.wait_held()
        rig.put("second", record("a", state=b"waiting"))
        rig.client.erase("z", 1)
        rig.recall("pending", "a")
        rig.recall("erased", "z")
        store.release()
        told = await rig.hear(4)
    assert [one for one in told if one[0] != "first"] == [
        ("pending", b"waiting", ""),
        ("erased", None, ""),
        ("second", None, ""),
    ]


async def test_a_read_finds_nothing_that_was_written_after_it_was_asked_for():
    """Also if both come while another read keeps the thread."""

    class Reading(SlowStore):
        """A store whose first read waits."""

        def __init__(self) -> None:
            super().__init__()
            self.is_read, self.goes_on = threading.Event(), threading.Event()

        def get(self, session_id):
            self.is_read.set()
            assert self.goes_on.wait(20)
            return super().get(session_id)

    store = Reading()
    async with Rig(store) as rig:
        rig.recall("other", "b")
        assert store.is_read.wait(20)
        rig.recall("before")
        rig.put("stored", record())
        rig.recall("after")
        store.goes_on.set()
        told = await rig.hear(4)
    assert {label: state for label, state, _ in told} == {
        "other": None,
        "before": None,
        "stored": None,
        "after": b"state",
    }


async def test_erasing_and_beginning_again_in_one_batch_leaves_the_new_session():
    """A session was closed and another of its id was opened: the old record's lease does not fence the new one."""
    store = SlowStore()
    async with Rig(store) as rig:
        rig.put("old", record(lease=9))
        await rig.hear(1)
        store.hold()
        rig.put("other", record("z"))
        store.wait_held()
        rig.client.erase("a", 1)
        rig.put("new", record(lease=1, state=b"new"))
        store.release()
        await rig.hear(3)
    assert store.get("a").state == b"new"


async def test_each_whose_record_it_was_is_notified_of_a_failure():
    """As an error object of its own; who comes later is not concerned."""
    store = SlowStore()
    errors: list[StoreFailed] = []
    async with Rig(store) as rig:
        store.hold()
        rig.put("first", record("z"))
        store.wait_held()
        for name in "ab":
            rig.client.store(record(name), lambda _, error: errors.append(error))
        store.failures.extend([full(), full()])
        store.release()
        rig.put("later", record("c"))
        await rig.hear(2)
        while len(errors) < 2:
            await asyncio.sleep(0)
        assert rig.told[0] == ("first", None, "the disk is full")
        assert [str(error) for error in errors] == ["the disk is full"] * 2
        assert errors[0] is not errors[1]
        rig.put("again", record("a", version=1))
        assert (await rig.hear(3))[-1] == ("again", None, "")


async def test_the_first_failure_of_a_row_is_logged(caplog):
    """Not each: a full disk would fill the log. That something can be read does not end the row."""
    store = SlowStore()
    async with Rig(store) as rig:
        rig.put("kept", record("kept"))
        await rig.hear(1)
        for version, fails in enumerate((True, True, False, True)):
            store.failures.extend([full()] * fails)
            rig.put("put", record(version=version))
            await rig.hear(2 * version + 2)
            rig.recall("read", "kept")
            await rig.hear(2 * version + 3)
    assert DELIVERY.settle(20)
    assert caplog.text.count("the session store fails") == 2
    assert "the disk is full" not in caplog.text


async def test_what_a_users_store_raises_is_a_store_failure():
    """Whatever it is; the cause is kept."""
    store = SlowStore()
    errors: list[StoreFailed] = []
    async with Rig(store) as rig:
        store.failures.append(ZeroDivisionError())
        with pytest.raises(StoreFailed, match="ZeroDivisionError") as raised:
            await rig.client.find("a")
        assert raised.value.outcome == "not_started"
        store.failures.append(KeyError("oops"))
        rig.client.store(record(), lambda _, error: errors.append(error))
    assert isinstance(errors[0], StoreFailed)
    assert isinstance(errors[0].__cause__, KeyError)


class Mute(BaseException):
    """No `Exception`, and its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [SystemExit(3), Mute()], ids=["SystemExit", "Mute"])
async def test_a_store_that_raises_what_is_no_exception_ends_no_thread(error):
    """Else every order behind it would wait until the pool closes."""
    async with Rig(SlowStore()) as rig:
        rig.store.failures.append(error)
        rig.put("first", record())
        told = await rig.hear(1)
        assert told[0][2].startswith(f"the session store raised {type(error).__name__}: ")
        rig.put("second", record(version=1))
        assert (await rig.hear(2))[1] == ("second", None, "")


class Full(StoreFailed):
    """A store's own, which cannot be made again from what it says."""

    def __init__(self, disk: str, size: int) -> None:
        super().__init__(f"{disk} is full at {size}")


async def test_a_failure_of_a_stores_own_class_reaches_its_caller_and_no_other():
    """Each caller's error is an object of the pool's own; the store's is its cause."""
    store, errors = SlowStore(), list[StoreFailed]()
    async with Rig(store) as rig:
        store.failures.append(Full("sda", 7))
        rig.client.store(record("a"), lambda _, error: errors.append(error))
        rig.put("second", record("b"))
        await rig.hear(1)
    assert "sda is full at 7" in str(errors[0])
    assert type(errors[0].__cause__) is Full


@pytest.mark.parametrize("store", [SlowStore(), MemoryStore()], ids=["slow", "immediate"])
async def test_what_is_no_record_is_that_sessions_failure(store):
    """A store of the user's may give anything; who waits behind it is told."""
    async with Rig(store) as rig:
        rig.put("kept", record("b"))
        get, store.get = store.get, lambda name: {"id": name} if name == "a" else get(name)
        rig.recall("wrong", "a")
        rig.recall("right", "b")
        told = {label: (state, error) for label, state, error in await rig.hear(3)}
        assert "AttributeError" in told["wrong"][1]
        assert told["right"] == (b"state", "")


async def test_a_store_that_exits_while_it_is_opened_fails_the_opening():
    """Its thread is the pool's own, and the pool waits for it."""
    store = SlowStore()
    store.open = raising(SystemExit(3))
    with pytest.raises(StoreFailed, match="SystemExit"):
        await Rig(store).client.open()


@pytest.mark.parametrize("store", [SlowStore(), MemoryStore()], ids=["slow", "immediate"])
async def test_a_store_that_cannot_be_closed_keeps_no_pool_open(store, caplog):
    """It is logged; everything was told before."""
    async with Rig(store) as rig:
        rig.put("kept", record())
        store.close = raising(OSError())
    assert rig.told == [("kept", None, "")]
    assert DELIVERY.settle(20)
    assert "the session store could not be closed" in caplog.text


def raising(error: BaseException):
    """A method that raises it."""

    def method():
        raise error

    return method


async def test_an_order_that_cannot_be_made_out_leaves_nobody_waiting():
    """What raises before it is the store's turn is the order's own failure, told by whoever ordered it."""
    async with Rig(MemoryStore()) as rig:
        with pytest.raises(TypeError):
            rig.put("no bytes", record(state=7))
    assert not rig.told


async def test_an_erasure_that_failed_goes_before_the_next_commit():
    """Else a state that was closed could come back, or fence out the session that follows."""
    store = SlowStore()
    async with Rig(store) as rig:
        rig.put("old", record(lease=9))
        await rig.hear(1)
        store.failures.append(full())
        rig.client.erase("a", 1)
        while store.failures:
            await asyncio.sleep(0)
        rig.recall("erased")
        assert (await rig.hear(2))[-1] == ("erased", None, "")
        rig.put("new", record(lease=1, state=b"new"))
        assert (await rig.hear(3))[-1] == ("new", None, "")
    assert store.get("a").state == b"new"


async def test_closing_writes_what_waits():
    """Nobody who closes loses what was ordered before."""
    store = SlowStore()
    rig = Rig(store)
    await rig.client.open()
    for number in range(10):
        rig.put(f"{number}", record(f"{number}"))
    await rig.client.close()
    assert len(rig.told) == 10
    assert not any(error for _, _, error in rig.told)
    assert len(store.ids()) == 10
    await rig.client.close()


async def test_closing_ends_in_time_whatever_the_disk_does(monkeypatch):
    """What was not written by then is told as failed, once: the late answer of the disk is not told again."""
    monkeypatch.setattr(store_client, "CLOSE_S", 0.05)
    store = SlowStore()
    store.hold()
    rig = Rig(store)
    await rig.client.open()
    rig.put("stuck", record())
    store.wait_held()
    rig.put("behind", record("b"))
    await rig.client.close()
    told = list(rig.told)
    assert [label for label, _, error in told if "closed before" in error] == ["stuck", "behind"]
    store.release()
    assert rig.client._writer.join(20.0)
    await asyncio.sleep(0)
    assert rig.told == told


async def test_a_store_that_cannot_be_opened_fails_the_opening(tmp_path):
    """With outcome not_started; nothing is left running, and closing is no error."""
    (tmp_path / "file").write_text("no database, this; " * 100)
    before = Leftovers()
    client = StoreClient(Settings(session_store=SqliteStore(tmp_path / "file")), "pool")
    with pytest.raises(StoreFailed, match="cannot be opened") as raised:
        await client.open()
    assert raised.value.outcome == "not_started"
    await client.close()
    await before.gone()


async def test_a_state_in_parts_comes_back_in_parts():
    """Bytes as bytes and writable buffers as writable ones, as the next worker has to be given them."""
    parts = joined(Encoded(b"stream", [b"bytes", bytearray(b"array")]))
    for store in (MemoryStore(), SlowStore()):
        states: list[Parts] = []
        async with Rig(store) as rig:
            rig.put("stored", record(state=parts))
            rig.client.recall("a", lambda found, _, states=states: states.append(found.state))
            rig.recall("again")
            await rig.hear(2)
        assert states == [parts]
        assert [type(part) for part in unpack(states[0], None)[1]] == [bytes, bytearray]


async def test_the_stores_see_bytes_and_when_they_were_saved():
    """Whatever the core was handed: a store knows nothing of codecs."""
    store = MemoryStore()
    async with Rig(store, codec="msgpack") as rig:
        rig.put("whole", record("whole"))
        rig.put("parts", record("parts", state=joined(Encoded(b"stream", [b"bytes"]))))
        kept = [store.get(name) for name in ("whole", "parts")]
    assert [(type(one.state), one.kind, one.saved_at) for one in kept] == [
        (bytes, "msgpack", NOW),
        (bytes, "msgpack+parts", NOW),
    ]


async def test_a_state_of_another_codec_is_not_orderedto_a_worker():
    """Nor one whose record is damaged: the error says which."""
    store = SlowStore()
    store.put_many(
        [SessionRecord("a", 1, 1, 1, b"x", "pickle", NOW), SessionRecord("b", 1, 1, 1, b"x", "msgpack+parts")]
    )
    async with Rig(store, codec="msgpack", durability="disk") as rig:
        with pytest.raises(StoreFailed, match="codec='pickle', and the pool has 'msgpack'"):
            await rig.client.find("a")
        with pytest.raises(StoreFailed, match="damaged"):
            await rig.client.find("b")


async def test_too_large_a_state_is_refused_by_itself(monkeypatch):
    """Else it would fail the others of its batch."""
    monkeypatch.setattr(store_client, "MOST_BYTES", 10)
    async with Rig(MemoryStore()) as rig:
        rig.put("large", record(state=bytes(11)))
        assert "11 bytes" in rig.told[0][2]


@pytest.mark.parametrize(("durability", "found"), [("none", None), ("reply", None), ("disk", b"state")])
async def test_only_disk_durability_finds_what_the_program_before_left(tmp_path, durability, found):
    """With less, the file only holds who is asleep; what it holds for others is left alone either way."""
    path = str(tmp_path / "sessions.db")

    async def program(kind: str) -> SessionRecord | None:
        client = StoreClient(Settings(session_store=path, durability=kind), "pool", lambda: NOW)
        await client.open()
        left = await client.find("a")
        client.store(record(), lambda *_: None)
        await client.close()
        return left

    assert await program(durability) is None
    assert await program("none" if durability == "disk" else "disk") is None
    again = await program(durability)
    assert (again and again.state) == found


async def test_what_nobody_came_back_for_is_forgotten(tmp_path):
    """A program's sessions wait for the next one for a day beyond session_ttl; without session_ttl for ever."""
    path, wall = str(tmp_path / "sessions.db"), [NOW]
    chosen = {"session_store": path, "durability": "disk"}

    async def program(ttl: float | None) -> bool:
        client = StoreClient(Settings(**chosen, session_ttl=ttl), "pool", lambda: wall[0])
        await client.open()
        was_there = await client.find("a") is not None
        if not was_there:
            client.store(record(), lambda *_: None)
        await client.close()
        return was_there

    assert not await program(100.0)
    wall[0] += 86_400 + 99
    assert await program(100.0)
    wall[0] += 10_000_000
    assert await program(None)
    assert not await program(100.0)


ORDERS = st.tuples(st.sampled_from(["put", "erase", "recall"]), st.sampled_from("abc"))


@settings(max_examples=80)
@given(orders=st.lists(ORDERS, max_size=30), pauses=st.sets(st.integers(0, 30)), faults=st.sets(st.integers(0, 30)))
def test_orders_have_the_effect_of_being_done_one_after_another(orders, pauses, faults):
    """However they fall into batches: each is answered once, those of one session in order.

    A recall finds the last put since the last erasure, or one before it if a put failed meanwhile.
    """

    async def run() -> None:
        store = SlowStore()
        possible: dict[str, list[bytes | None]] = {name: [None] for name in "abc"}
        answers: dict[str, list[int]] = {name: [] for name in "abc"}
        wrong: list[str] = []

        def judge(number: int, name: str, allowed: list[bytes | None]):
            def done(found: SessionRecord | None, error: StoreFailed | None) -> None:
                answers[name].append(number)
                if not error and (found and found.state) not in allowed:
                    wrong.append(f"recall {number} of {name} gave {found}, not one of {allowed}")

            return done

        async with Rig(store) as rig:
            for number, (verb, name) in enumerate(orders):
                if number in faults:
                    store.failures.append(full())
                if verb == "put":
                    state = b"%d" % number
                    possible[name] = [*(possible[name] if faults else []), state]
                    one = record(name, version=number, state=state)
                    rig.client.store(one, lambda _, error, n=number, name=name: answers[name].append(n))
                elif verb == "erase":
                    possible[name] = [None]
                    rig.client.erase(name, 1)
                else:
                    rig.client.recall(name, judge(number, name, list(possible[name])))
                if number in pauses:
                    await asyncio.sleep(0)
            store.failures.clear()
        assert not wrong
        for name in "abc":
            for kind in ("put", "recall"):
                ordered = [n for n, order in enumerate(orders) if order == (kind, name)]
                assert [n for n in answers[name] if orders[n][0] == kind] == ordered

    asyncio.run(run())
