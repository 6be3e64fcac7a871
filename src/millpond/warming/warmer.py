"""Warms a pool: paces the warm-up of its workers by a strategy, reports the progress, and keeps the last report.

The commands are run by the core, one after another in each worker; here is decided whose turn it is. Warms at opening,
warms each worker that is started later, and warms a running pool again when asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from millpond import events
from millpond.core import Command, Machine, Run, Step, Worker, worker_states
from millpond.warming.commands import Warmup, check_commands
from millpond.warming.outcomes import SKIPPED, WARM, CommandReport, Progress, WarmReport, WorkerReport
from millpond.warming.strategies import Strategy, warm_parallel

LEFT_OUT = "the strategy stopped before its turn"
CANCELLED = "the round was cancelled"


class DriverLike(Protocol):
    """What carries the core's orders out (the driver)."""

    machine: Machine
    now: Callable[[], float]

    def carry_out(self) -> None:
        """Do what the core ordered."""

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that only the driver's doings can change."""


class PoolWarmer:
    """The warm-up of one pool; iterating over it gives the `Progress` of the round that is on, or of the next.

    The iteration ends with the round, and when the pool closes. `report` is that of the last round that ended, or
    `None`.
    """

    def __init__(
        self,
        driver: DriverLike,
        commands: Sequence[Warmup],
        strategy: Strategy | None,
        encode: Callable[[Warmup], Command],
    ) -> None:
        self.report: WarmReport | None = None
        self.driver = driver
        self._machine = driver.machine
        self._commands = check_commands(commands)
        self._strategy = strategy or warm_parallel
        self._encode = encode
        self._encoded: list[Command] | None = None
        self._rounds: set[_Round] = set()
        self._left_out: dict[int, str] = {}  # id -> why, of workers that were left out before they had started
        self._tasks: set[asyncio.Task[Any]] = set()
        self._readers: set[asyncio.Queue[Progress | None]] = set()
        self._is_closed = False
        self._machine.require_warmup(bool(self._commands))

    async def warm(self, strategy: Strategy | None = None, commands: Sequence[Warmup] | None = None) -> WarmReport:
        """Warm the workers that serve or stand by, each when it has a free slot; see `Pool.warm`."""
        encoded = self.own() if commands is None else [self._encode(one) for one in check_commands(commands)]
        workers = [
            one
            for one in self._machine.view.workers.values()
            if one.state in (worker_states.READY, worker_states.SPARE)
        ]
        return await self._run(_Round(self, workers, encoded), strategy or self._strategy)

    def open_round(self) -> None:
        """The pool opens, and its first workers have been asked for: they are warmed as the strategy says."""
        if self._commands:
            workers = list(self._machine.view.workers.values())
            self._begin(_Round(self, workers, None), self._strategy)

    def met(self, worker: Worker) -> None:
        """A worker answered its handshake: unless a round waits for it, it is warmed by itself."""
        if worker.id in self._left_out:
            self.refuse(worker, self._left_out.pop(worker.id))
        elif not any(worker.id in one.workers for one in self._rounds):
            self._begin(_Round(self, [worker], None), warm_parallel)

    def close(self) -> None:
        """The pool closes: no round goes on, no command is waited for, and nobody follows any more."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        for one in self._rounds:
            one.give_up()
        self.notify(None)

    async def __aiter__(self) -> AsyncIterator[Progress]:
        if self._is_closed:
            return
        queue: asyncio.Queue[Progress | None] = asyncio.Queue()
        self._readers.add(queue)
        try:
            while (step := await queue.get()) is not None:
                yield step
        finally:
            self._readers.discard(queue)

    def underway(self) -> tuple[int, int, int] | None:
        """Of the rounds that are on, together: commands that are behind a worker, all of them, and how many failed."""
        if not self._rounds:
            return None
        done, of, failed = zip(*(one.counts() for one in self._rounds), strict=True)
        return sum(done), sum(of), sum(failed)

    def commands_of(self, given: list[Command] | None) -> int:
        """How many commands a round gives to each worker; `None` are the pool's own."""
        return len(self._commands if given is None else given)

    def own(self) -> list[Command]:
        """The pool's commands, encoded when the handler is known; raises `BadArgument` for what does not fit it."""
        if self._encoded is None:
            self._encoded = [self._encode(command) for command in self._commands]
        return self._encoded

    def _begin(self, one: _Round, strategy: Strategy) -> None:
        task = asyncio.ensure_future(self._run(one, strategy))
        self._rounds.add(one)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # what it raised was reported to the workers it left out

    async def _run(self, one: _Round, strategy: Strategy) -> WarmReport:
        self._rounds.add(one)
        self._emit(events.WarmingStart, len(one.workers), self.commands_of(one.given))
        why = LEFT_OUT
        try:
            await strategy(list(one.workers), one.warm)
        except asyncio.CancelledError:
            why = CANCELLED
            one.give_up()
            raise
        except Exception as error:
            why = f"the strategy raised {type(error).__name__}: {error}"
            raise
        finally:
            one.leave_out_rest(why)
            self._rounds.discard(one)
            self.report = one.report()
            self._emit(events.WarmingStop, len(self.report.warm), len(self.report.failed), self.report.seconds)
            self.notify(None)
        return self.report

    def _emit(self, kind: type[events.Event], *facts: Any) -> None:
        self._machine.emit(kind, *facts)
        self.driver.carry_out()

    def notify(self, step: Progress | None) -> None:
        """Tell those who follow; `None`: the round is over."""
        for reader in self._readers:
            reader.put_nowait(step)

    def refuse(self, worker: Worker, why: str) -> None:
        """Nobody warms this worker: one that has to be warm before it serves is replaced."""
        if worker.state == worker_states.STARTING:
            self._left_out[worker.id] = why
        self._machine.refuse_warmup(worker, why, self.driver.now())
        self.driver.carry_out()


class _Round:
    """One round: who is to be warmed, who was, and the tickets of the runs on their way."""

    def __init__(self, warmer: PoolWarmer, workers: Sequence[Worker], given: list[Command] | None) -> None:
        self.workers = {worker.id: worker for worker in workers}
        self.given = given  # the commands; `None` for the pool's own
        self._warmer = warmer
        self._driver = warmer.driver
        self._began_at = self._driver.now()
        self._begun: set[int] = set()
        self._runs: list[Run] = []
        self._reports: list[WorkerReport] = []
        self._done = self._failed = 0

    async def warm(self, worker_id: int) -> WorkerReport:
        """Warm one of the round's workers, when it has started; what fails in it is in the report."""
        if worker_id in self._begun or worker_id not in self.workers:
            raise ValueError(f"worker {worker_id} is not in this round, or had its turn: {sorted(self.workers)}")
        worker, turn_at = self.workers[worker_id], self._driver.now()
        self._begun.add(worker_id)
        await self._driver.until(
            lambda: worker.state not in (worker_states.STARTING, worker_states.WARMING) or bool(worker.greeted_at)
        )
        if worker.state in (*worker_states.LEAVING, worker_states.GONE):
            return self._ended(worker_id, (), turn_at, f"it is {worker.shown_state} ({worker.reason or 'died'})")
        try:
            commands = self._warmer.own() if self.given is None else self.given
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            self._warmer.refuse(worker, why)
            return self._ended(worker_id, (), turn_at, why)
        ticket = _Ticket(self)
        run = self._driver.machine.begin_warmup(worker, commands, ticket, self._driver.now())
        self._runs.append(run)
        self._driver.carry_out()
        try:
            await ticket.over
        except asyncio.CancelledError:
            self._give_up(run)
            raise
        finally:
            made = self._ended(worker_id, tuple(map(_reported, run.steps)), turn_at, run.failure)
        return made

    def give_up(self) -> None:
        """Nobody wants the round any more: its commands are interrupted."""
        for run in self._runs:
            self._give_up(run)

    def _give_up(self, run: Run) -> None:
        self._driver.machine.give_up_warmup(run, self._driver.now())
        self._driver.carry_out()

    def stepped(self, run: Run, step: Step) -> None:
        """A command is behind a worker."""
        self._done += 1
        self._failed += step.outcome != WARM
        of = len(self.workers) * len(run.commands)
        after = self._driver.now() - self._began_at
        self._warmer.notify(Progress(run.worker.id, step.command.name, step.outcome, self._done, of, after))

    def leave_out_rest(self, why: str) -> None:
        """The strategy is through: whoever had no turn is not warmed."""
        for worker_id in self.workers.keys() - self._begun:
            self._warmer.refuse(self.workers[worker_id], why)
            self._ended(worker_id, (), self._driver.now(), f"{SKIPPED}: {why}")

    def counts(self) -> tuple[int, int, int]:
        """Commands that are behind a worker, all there are to give, and how many failed."""
        return self._done, len(self.workers) * self._warmer.commands_of(self.given), self._failed

    def report(self) -> WarmReport:
        """What was done."""
        return WarmReport(tuple(self._reports), self._driver.now() - self._began_at)

    def _ended(self, worker_id: int, commands: tuple[CommandReport, ...], turn_at: float, failure: str) -> WorkerReport:
        made = WorkerReport(worker_id, commands, self._driver.now() - turn_at, failure)
        self._reports.append(made)
        return made


class _Ticket:
    """Told of one worker's run."""

    def __init__(self, one: _Round) -> None:
        self._round = one
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def step(self, run: Run, step: Step) -> None:
        """One command ended."""
        self._round.stepped(run, step)

    def end(self) -> None:
        """The run is over."""
        if not self.over.done():
            self.over.set_result(None)


def _reported(step: Step) -> CommandReport:
    command = step.command
    error = "" if step.error is None else f"{type(step.error).__name__}: {step.error}"
    return CommandReport(command.name, step.outcome, step.seconds, command.is_required, error)
