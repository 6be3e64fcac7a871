"""DSPy programs on a pool: as handlers, as values, in sessions; with the real package and models that know a table."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import millpond
from tests.contract.sites import until
from tests.needs import need
from tests.start_methods import METHODS

need("dspy")

from dspy.utils.exceptions import AdapterParseError  # noqa: E402

from tests.contract import programs  # noqa: E402

SKY, SEA = "what colour is the sky?", "what colour is the sea?"
BLUE = programs.KNOWN["sky"]["answer"]


@pytest.fixture(scope="module", params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[millpond.SyncPool]:
    """One pool for each way to make workers: they import DSPy, which takes a second."""
    with millpond.SyncPool(
        programs.Assistant, min_workers=1, max_workers=1, start_method=request.param, sleep_after=0.05
    ) as made:
        yield made


def test_a_program_is_an_operation(pool):
    """Plain and asynchronous, under the settings that `setup` made."""
    assert pool.call("answer", SKY) == BLUE
    assert pool.call("ask", SEA) == "green"


def test_a_call_has_settings_of_its_own(pool):
    """`dspy.context` ends with the call."""
    assert pool.call("answer_with", "red", SKY) == "red"
    assert pool.call("answer", SKY) == BLUE


def test_a_program_streams(pool):
    """The pieces of a field as the model says them, then the whole prediction."""
    *pieces, last = pool.stream("stream", SKY)
    assert len(pieces) > 1
    assert "".join(pieces).strip() == last == BLUE


def test_programs_travel_with_their_signatures(pool):
    """There as an argument, back as a result, and as an optimizer made them."""
    assert pool.run(programs.answered, programs.Answer(), SKY) == BLUE
    assert pool.run(programs.demos, programs.taught()) == programs.demos(programs.taught())
    back = pool.run(programs.taught)
    assert programs.demos(back) == programs.demos(programs.taught())
    assert list(back.signature.fields) == ["question", "answer"]


def test_a_parse_error_keeps_its_class(pool):
    """Callers catch what they would catch without a pool."""
    with pytest.raises(AdapterParseError) as caught:
        pool.call("fail")
    assert caught.value.adapter_name == "JSONAdapter"


def test_a_sessions_program_sleeps_and_moves(pool):
    """What it learned is there when it wakes, and in the worker that replaced its own."""
    with pool.session("ann") as ann:
        ann.call("start")
        ann.call("teach", "what is up?", "the sky")
        before = ann.call("look")
        assert before == {
            "class": "Answer",
            "fields": ["question", "reasoning", "answer"],
            "demos": ["the sky"],
            "answer": BLUE,
        }
        asyncio.run(until(lambda: pool.statistics().sessions_asleep == 1))
        assert ann.call("look") == before
        pool.replace_workers()
        assert ann.call("look") == before
        ann.close()


async def test_a_sessions_program_survives_its_worker(tmp_path):
    """As of the last acknowledged answer, from the file that it is saved in."""
    settings: dict[str, Any] = {"durability": "disk", "session_store": str(tmp_path / "s.db"), "on_restore": "continue"}
    async with millpond.Pool(programs.Assistant, min_workers=1, max_workers=1, **settings) as pool:
        ann = await pool.session("ann")
        await ann.call("start")
        await ann.call("teach", "what is up?", "the sky")
        (pid,) = pool.statistics().pids.values()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: pid not in pool.statistics().pids.values())
        assert (await ann.call("look"))["demos"] == ["the sky"]


async def test_settings_are_those_of_each_thread():
    """With `concurrency` each call is a thread: it has what `setup` configured, and its own `dspy.context` over it."""
    async with millpond.Pool(programs.Assistant, max_workers=1, concurrency=3) as pool:
        calls = (pool.call("meet_with", word, SKY) for word in ("a", "b", "c"))
        assert await asyncio.gather(*calls) == ["a", "b", "c"]
        assert await asyncio.gather(pool.call("answer", SKY), pool.call("ask", SEA)) == [BLUE, "green"]


async def test_dspy_may_be_in_the_image():
    """Its import leaves no thread and no socket behind: workers are forked from it, and have it."""
    async with millpond.Pool(None, max_workers=1, preload=["dspy"]) as pool:
        assert await pool.run(programs_are_loaded)


def programs_are_loaded() -> bool:
    import sys

    return "dspy" in sys.modules
