"""Lets each kind of a list travel in every way, as a script that defines them all, and prints what its probes said.

Run as `__main__`: `program.py WAY FILE...`, where a way is `plain`, `stock-fork`, `stock-spawn`, `fork`, `spawn` or
`brief`, which is `fork` with fewer pools, and with what is slow to import in their image. It prints JSON: for each
journey and kind what the probe answered, or how it failed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import multiprocessing
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.corpus import fresh_interpreter
from tests.faults.corpus.registry import KINDS

HERE = Path(__file__).parent
LIMIT_S = 60

for _name in sys.argv[2:]:
    exec(compile((HERE / _name).read_text(), str(HERE / _name), "exec"), globals())

Answers = dict[str, str]


class Keeper:
    """A handler with what is to be kept in its sessions."""

    def ask(self, probe, value):
        return probe(value)

    def keep(self, value, *, session):
        session.state["value"] = value

    def look(self, probe, *, session):
        return probe(session.state["value"])

    def give(self, *, session):
        return session.state["value"]


def same(value: Any) -> Any:
    return value


def ask(name: str, value: Any) -> Any:
    """What the standard pool is asked: it carries functions by name only."""
    return KINDS[name].probe(value)


def told(error: BaseException) -> str:
    return f"failed: {type(error).__name__}: {error}"


async def asked(call: Any, probe: Any = same) -> str:
    try:
        return repr(probe(await call))
    except Exception as error:
        return told(error)


async def each(call: Any, probes: bool = False) -> Answers:
    """What `call(kind)` gives for each kind, one after the other."""
    return {name: await asked(call(kind), kind.probe if probes else same) for name, kind in KINDS.items()}


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.01)


def here() -> Answers:
    return {name: repr(kind.probe(kind.make())) for name, kind in KINDS.items() if kind.is_carried}


async def journeys(way: str, folder: Path) -> dict[str, Answers]:
    told: dict[str, Answers] = {"here": here()}
    settings: dict[str, Any] = {"start_method": way}
    if way == "brief":
        settings = {"preload": fresh_interpreter.libraries()}
    await awake(told, **settings)
    if way != "brief":
        await asleep(told, "memory", **settings)
    await asleep(told, "SQLite", session_store=str(folder / "sessions.db"), **settings)
    return told


def pool(**settings: Any) -> Any:
    import millpond

    return millpond.Pool(Keeper, max_workers=1, metrics=False, alerts=False, deadline=LIMIT_S, **settings)


async def awake(told: dict[str, Answers], **settings: Any) -> None:
    async with pool(**settings) as it:
        told["result made in a worker"] = await each(lambda kind: it.run(kind.make), probes=True)
        told["argument of a function"] = await each(lambda kind: it.run(kind.probe, kind.make()))
        told["argument of an operation"] = await each(lambda kind: it.call("ask", kind.probe, kind.make()))
        told["there and back"] = await each(lambda kind: it.run(same, kind.make()), probes=True)
        kept, refused = await keep(it)
        told["state"] = refused | await look(kept)
        await it.replace_workers()
        told["state in another worker"] = refused | await look(kept)
        told["state, given back"] = refused | {
            name: await asked(session.call("give"), KINDS[name].probe) for name, session in kept.items()
        }


async def asleep(told: dict[str, Answers], store: str, **settings: Any) -> None:
    async with pool(sleep_after=0.05, **settings) as it:
        kept, refused = await keep(it)
        await until(lambda: it.statistics().sessions_asleep == len(kept))
        told[f"state, asleep in {store}"] = refused | await look(kept)


async def keep(it: Any) -> tuple[dict[str, Any], Answers]:
    """A session for each kind, with its value as state; and of the kinds that cannot be kept, why."""
    kept, refused = {}, {}
    for name, kind in KINDS.items():
        session = await it.session(name)
        answer = await asked(session.call("keep", kind.make()))
        if answer == "None":
            kept[name] = session
        else:
            refused[name] = answer
    return kept, refused


async def look(kept: dict[str, Any]) -> Answers:
    return {name: await asked(session.call("look", KINDS[name].probe)) for name, session in kept.items()}


def stock(start_method: str) -> dict[str, Answers]:
    context = multiprocessing.get_context(start_method)
    there, back = {}, {}
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as it:
        for name, kind in KINDS.items():
            try:
                there[name] = repr(it.submit(ask, name, kind.make()).result(LIMIT_S))
                back[name] = repr(kind.probe(it.submit(same, kind.make()).result(LIMIT_S)))
            except Exception as error:
                there.setdefault(name, told(error))
                back[name] = told(error)
    return {"there": there, "back": back}


def main() -> None:
    way = sys.argv[1]
    if way == "plain":
        answers = {"here": here(), **fresh_interpreter.answers(KINDS)}
    elif way.startswith("stock-"):
        answers = stock(way.removeprefix("stock-"))
    else:
        with tempfile.TemporaryDirectory() as folder:
            answers = asyncio.run(journeys(way, Path(folder)))
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
