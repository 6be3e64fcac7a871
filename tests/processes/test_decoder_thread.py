"""Results of classes that the program has not imported, and whose import takes long: nobody else waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import millpond
from tests.contract.sites import BEGUN_S, check, failure, until

MODULE = """
import os, time
if os.environ["WHERE"] == "program":
    open("BEGUN", "w").close()
    while not os.path.exists("GO"):
        time.sleep(0.01)
class Answer:
    def __init__(self, n):
        self.n = n
class Maker:
    def make(self, n):
        return Answer(n)
    def plain(self, n):
        return n
    def make_in(self, n, *, session):
        session.state.setdefault("made", []).append(n)
        return Answer(list(session.state["made"]))
    def items(self):
        yield 0
        yield Answer(1)
        yield 2
    def die(self, after):
        os._exit(7)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the module lies, and the two marks of its import in the program."""
    name = f"slow_{tmp_path.name}"
    text = MODULE.replace("BEGUN", str(tmp_path / "begun")).replace("GO", str(tmp_path / "go"))
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("WHERE", "program")
    return tmp_path


def making(place: Path) -> millpond.Pool:
    env = {"WHERE": "worker"}
    return millpond.Pool(f"slow_{place.name}:Maker", min_workers=2, max_workers=2, worker_env=env)


async def test_nobody_waits_for_the_import_of_anothers_result(place):
    """Others are answered meanwhile, deadlines hold and cost no worker, and each result arrives when it can."""
    async with making(place) as pool:
        pids = pool.statistics().pids
        first = asyncio.create_task(pool.call("make", 1))
        await until((place / "begun").exists)
        assert await pool.call("plain", 2) == 2
        late = pool.options(deadline=BEGUN_S)
        check(await failure(late.call("make", 3)), "deadline_exceeded", "unknown")
        assert await pool.call("plain", 4) == 4
        assert not first.done()
        (place / "go").touch()
        assert (await first).n == 1
        assert (await pool.call("make", 5)).n == 5
        assert pool.statistics().pids == pids


async def test_a_session_and_a_stream_keep_their_order_meanwhile(place):
    """What comes after a result that is being decoded comes after it."""
    async with making(place) as pool, pool.session("s") as session:
        calls = [asyncio.create_task(session.call("make_in", number)) for number in range(3)]
        await until((place / "begun").exists)
        items = asyncio.create_task(_all(pool.stream("items")))
        (place / "go").touch()
        assert [(await call).n for call in calls] == [[0], [0, 1], [0, 1, 2]]
        assert [getattr(item, "n", item) for item in await items] == [0, 1, 2]


async def test_a_worker_that_dies_meanwhile_has_answered(place):
    """Its result arrives, and its death is told after that."""
    async with making(place) as pool:
        first = asyncio.create_task(pool.call("make", 1))
        await until((place / "begun").exists)
        dying = [asyncio.create_task(pool.call("die", 0)) for _ in range(2)]
        await asyncio.wait(dying, timeout=0.2)
        (place / "go").touch()
        assert (await first).n == 1
        for call in dying:
            check(await failure(call), "worker_died", "unknown")
        assert await pool.call("plain", 2) == 2


async def _all(stream):
    return [item async for item in stream]
