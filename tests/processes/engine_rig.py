"""What tests of the engine share: records like the core's, a recorder of what the engine tells, and ways to wait."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import psutil

from millpond.engine import kernel
from millpond.engine.link import Link
from millpond.engine.local import LocalEngine
from millpond.seams import Death, EngineSpec
from millpond.settings import Settings
from millpond.wire.codec import PickleCodec

STANDIN = "tests.processes.standin"
UPPER_S = 60.0  # no test waits longer for anything

_ids = itertools.count(1)
_codec = PickleCodec()


class Worker:
    """A worker record, as the engine needs it."""

    def __init__(self) -> None:
        self.id = next(_ids)
        self.pid = 0


class Session:
    """A session record, as the engine needs it."""

    def __init__(self, name: str, number: int, snapshot: Any = None) -> None:
        self.id, self.number, self.snapshot, self.lease = name, number, snapshot, 1
        self.generation = 1


class Call:
    """A call record, as the engine needs it."""

    def __init__(
        self, operation: int, *args: Any, session: Session | None = None, deadline: float = float("inf")
    ) -> None:
        self.id = next(_ids)
        self.operation, self.session, self.deadline = operation, session, deadline
        self.payload, self.trace, self.form = _codec.encode((args, {})), None, 0


class Recorder:
    """Engine events as a list of tuples, `kind` first, that can be waited for."""

    def __init__(self) -> None:
        self.engine: LocalEngine
        self.seen: list[tuple[Any, ...]] = []
        self._news = asyncio.Event()

    def _note(self, *fact: Any) -> None:
        self.seen.append(fact)
        self._news.set()

    def warming(self, worker: Any, pid: int) -> None:
        self._note("warming", worker, pid)

    def ready(self, worker: Any, pid: int) -> None:
        worker.pid = pid
        self._note("ready", worker, pid)

    def start_failed(self, worker: Any, message: str, brief: str) -> None:
        self._note("start_failed", worker, message)

    def gone(self, worker: Any, death: Death, started: Iterable[int]) -> None:
        self._note("gone", worker, death, list(started))

    def stopped(self, worker: Any, is_stopped: bool) -> None:
        self._note("stopped", worker, is_stopped)

    def answered(self, worker: Any, call_id: int, kind: str, value: Any, started: float, ended: float, *_: Any) -> None:
        self._note("answered", worker, call_id, kind, value)

    def item(self, worker: Any, call_id: int, value: Any) -> None:
        self._note("item", worker, call_id, value)

    def ponged(self, worker: Any, held: int) -> None:
        self._note("ponged", worker, held)

    def distrusted(self, worker: Any, why: str) -> None:
        self._note("distrusted", worker, why)
        self.engine.kill(worker)

    def logged(self, worker: Any, call_id: int, level: int, logger: str, message: str) -> None:
        self._note("logged", worker, call_id, level, logger, message)

    def emitted(self, worker: Any, call_id: int, name: str, *facts: Any) -> None:
        self._note("emitted", worker, call_id, name, *facts)

    def batch_end(self) -> None:
        """Nothing to do: each fact was noted as it came."""

    def stood_still(self, since: float) -> float:
        return 0.0

    def engine_lost(self, message: str) -> None:
        self._note("engine_lost", None, message)

    def workers_lost(self, workers: Iterable[Any], message: str) -> None:
        for worker in workers:
            self._note("worker_lost", worker, message)

    def engine_back(self) -> None:
        self._note("engine_back", None)

    def of(self, kind: str, worker: Any = None) -> list[tuple[Any, ...]]:
        """All facts of a kind, of one worker or of all."""
        return [fact for fact in self.seen if fact[0] == kind and (worker is None or fact[1] is worker)]

    async def wait(self, kind: str, worker: Any = None, count: int = 1) -> tuple[Any, ...]:
        """The `count`-th fact of a kind; fails when it does not come."""
        while len(found := self.of(kind, worker)) < count:
            await self.news()
        return found[count - 1]

    async def news(self, pause_s: float | None = None) -> None:
        """Wait for the next fact; fails when none comes, unless it is waited for with a pause."""
        self._news.clear()
        try:
            async with asyncio.timeout(pause_s or UPPER_S):
                await self._news.wait()
        except TimeoutError:
            if pause_s is None:
                raise


class Rig:
    """An engine with its recorder."""

    def __init__(self, engine: LocalEngine, events: Recorder, run_id: str) -> None:
        self.engine, self.events, self.run_id = engine, events, run_id
        events.engine = engine

    @property
    def warden(self) -> int:
        """The warden's process: the one that carries the run id and is our child."""
        (pid,) = (pid for pid in kernel.carriers(self.run_id) if psutil.Process(pid).ppid() == os.getpid())
        return pid

    def link(self, worker: Worker) -> Link:
        """The engine's record of a worker."""
        return self.engine._links[worker.id]

    def has_begun(self, worker: Worker, call: Call) -> bool:
        """Whether the worker claimed a call that it has not answered."""
        link = self.link(worker)
        return link.logbook.is_claimed(link.calls.index(call.id))

    async def start(self) -> Worker:
        """A worker that is ready."""
        worker = Worker()
        self.engine.start(worker)
        await self.events.wait("ready", worker)
        return worker

    def call(self, operation: str, *args: Any, session: Session | None = None) -> Call:
        """A call of an operation by its name."""
        facts = self.engine.facts()
        assert facts is not None
        return Call([found.name for found in facts.operations].index(operation) + 1, *args, session=session)

    async def ask(self, worker: Worker, operation: str, *args: Any, session: Session | None = None) -> Any:
        """The answer to one call, as kind and value."""
        call = self.call(operation, *args, session=session)
        self.engine.send(worker, call)
        return await self.answer(call)

    async def answer(self, call: Call) -> tuple[str, Any]:
        """The answer to a call that was sent."""
        while not (found := [fact for fact in self.events.of("answered") if fact[2] == call.id]):
            await self.events.news()
        return found[0][3], found[0][4]


def make_spec(handler: Any, *args: Any, run_id: str = "", **settings: Any) -> EngineSpec:
    """A spec with small settings."""
    chosen = Settings(**{"max_workers": 4, "buffer_bytes": 1 << 20} | settings)
    return EngineSpec(handler, args, {}, chosen, run_id or f"test-{os.getpid()}-{next(_ids)}")


@contextlib.asynccontextmanager
async def engine_for(handler: Any, *args: Any, program: str = STANDIN, **settings: Any) -> AsyncIterator[Rig]:
    """An open engine; on leaving, nothing that carries its run id may live."""
    engine, events, spec = LocalEngine(program), Recorder(), make_spec(handler, *args, **settings)
    await engine.open(spec, events)
    try:
        yield Rig(engine, events, spec.run_id)
    finally:
        await engine.close()
        assert not kernel.carriers(spec.run_id)


async def until(condition: Callable[[], bool], upper_s: float = UPPER_S) -> None:
    """Wait until something outside of this process is so."""
    end = time.monotonic() + upper_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def until_sync(condition: Callable[[], bool], upper_s: float = UPPER_S) -> float:
    """The same without a loop; how long it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() < begin + upper_s, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - begin


def lives(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def on_a_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """Run a test that is a coroutine function on a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
