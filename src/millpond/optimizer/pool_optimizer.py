"""`pool.optimizer`: looks at the pool every interval, and at once under pressure, and has the decider's rules adopted.

Woken once a second by whoever adds up the metrics, on the loop's thread, which it holds for a fraction of a millisecond
but where a decision is entered; a policy that takes longer thinks in a process of its own. It starts and stops no
worker: it chooses the parameters of the core's sizing rule.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Protocol

from millpond import events
from millpond.core import SizingRule
from millpond.optimizer.analysis.finding import WorkloadAnalysis
from millpond.optimizer.configuration import Configuration
from millpond.optimizer.decider import Decider
from millpond.optimizer.decision import Decision
from millpond.optimizer.journal import Journal
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.chosen import LIGHT, make_policy
from millpond.optimizer.policies.policy import Policy, Proposal
from millpond.optimizer.rules import change
from millpond.optimizer.side_process import Answer, SidePolicy
from millpond.optimizer.story import story
from millpond.telemetry.bus import Bus

# It decides, only by hand, or not at all; or it has nothing to choose, or did not begin yet.
State = Literal["new", "running", "paused", "frozen", "closed"]


class Sized(Protocol):
    """What is sized: a pool, as far as the optimizer is concerned. All of it belongs on the loop's thread."""

    @property
    def rule(self) -> SizingRule:
        """The rule in force."""
        ...

    @property
    def is_sizable(self) -> bool:
        """Whether there is anything to choose."""
        ...

    def waited(self) -> tuple[float, float]:
        """Seconds that the oldest waiting call has waited, and that a call takes."""
        ...

    def observe(self) -> Observation:
        """What there is to see, and what came since this was asked last."""
        ...

    def glance(self) -> Observation:
        """What there is to see now, without what came: that is left for the next observation."""
        ...

    def size_by(self, rule: SizingRule, reason: str) -> None:
        """Go by another rule."""
        ...


class PoolOptimizer:
    """The optimizer of one pool. Its methods belong on the loop's thread, but `close`, which blocks."""

    def __init__(
        self,
        sized: Sized,
        configuration: Configuration,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        bus: Bus | None = None,
    ) -> None:
        self._sized = sized
        self._journal = journal
        self._clock = clock
        self._wall_clock = wall_clock
        self._bus = bus
        self._state: State = "new"
        self._waiting: list[asyncio.Future[Decision]] = []  # for the decision that is being made
        self._is_asking = False  # the policy in the side process
        self._has_traffic = False  # whether a call ever came
        self._has_looked = False
        self._retired: list[SidePolicy] = []  # to be closed
        self._go_by(configuration)

    def configure(self, **changes: Any) -> Configuration:
        """Go on with another `slo`, `mode`, `policy` or `interval_s`; what was learned is learned anew.

        Raises `TypeError` or `ValueError` for what is none of these, and nothing is changed then.
        """
        configuration = replace(self.configuration, **changes)
        if self._side is not None:
            self._side.end()
            self._retired.append(self._side)
        self._is_asking = False
        self._go_by(configuration)
        return configuration

    def _go_by(self, configuration: Configuration) -> None:
        self.configuration = configuration
        named = configuration.policy
        made_of = named, configuration.slo, configuration.mode, configuration.low, configuration.high
        self._light: Policy | None = make_policy(*made_of) if named in LIGHT else None
        self._side: SidePolicy | None = None if self._light else SidePolicy(*made_of)
        name = named if isinstance(named, str) else named.__name__
        self._decider = Decider(configuration.slo, configuration.limits, policy=name)
        usual_s = self._light.interval_s if self._light else self._decider.interval_s
        self._interval_s = configuration.interval_s or usual_s
        self._due_at = self._clock() + self._interval_s

    # Running

    @property
    def state(self) -> State:
        """`running`, `paused` (learns, decides by hand only), `frozen` (changes nothing at all), `new` or `closed`."""
        return self._state

    def start(self) -> None:
        """Decide every interval from now on. The pool does so when it opens."""
        if self._state == "new":
            self._due_at = self._clock() + self._interval_s
            self._state = "running"

    def pause(self, reason: str = "asked to") -> None:
        """Decide no more by itself; `perform_optimization` and the scaling verbs still do."""
        self._switch("paused", reason)

    def resume(self, reason: str = "asked to") -> None:
        """Go on after a pause or a freeze."""
        self._switch("running", reason)

    def freeze(self, reason: str = "asked to") -> None:
        """The kill switch: from this moment on nothing changes the rule, whoever asks, until `resume`."""
        self._switch("frozen", reason)

    def _switch(self, state: State, reason: str) -> None:
        if self._state in (state, "closed"):
            return
        self._state = state
        if self._bus and self._bus.has_listener(events.OptimizerSwitched.name):
            self._bus.execute(events.OptimizerSwitched(state, reason))

    def end(self) -> None:
        """The pool closes: no decision is made any more. What waits for one is told so by a cancellation."""
        self._state = "closed"
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.cancel()

    def close(self) -> None:
        """End the side process and write what waits; a few seconds at most. Blocks; from any thread."""
        for side in (*self._retired, self._side):
            if side is not None:
                side.close()
        self._journal.close()

    # Deciding

    def tick(self) -> None:
        """Look, if it is time to: meant to be called every second."""
        if self._state != "running" or self._is_asking or not self._sized.is_sizable:
            return
        now = self._clock()
        # Before the first look there is nothing to know better by than the rule itself.
        is_pressed = self._has_looked and self._decider.is_pressed(now, *self._sized.waited())
        if is_pressed or now >= self._due_at:
            self._begin()

    async def perform_optimization(self) -> Decision:
        """Look and decide now; the decision, which is in force when this returns, unless the optimizer is frozen.

        Raises `RuntimeError` on a pool that is not open.
        """
        if self._state in ("new", "closed"):
            raise RuntimeError(f"the optimizer is {self._state}: its pool is not open")
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if not self._is_asking:
            self._begin()
        return await future

    def analyze_metrics(self) -> WorkloadAnalysis:
        """What can be said of the load by now: named findings with numbers and confidence."""
        return self._decider.analyze()

    async def determine_optimal_config(self, analysis: WorkloadAnalysis, current: Observation) -> Decision:
        """What would be decided of `current`, with these findings; nothing is adopted."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        self._ask(current, lambda answer: _post(loop, _settle, answered, answer))
        answer = await answered
        if not isinstance(answer, Proposal):
            return self._decider.held(current, answer)
        return replace(self._decider.decide(current, answer), findings=analysis.findings)

    def scale_up(self, workers: int = 1) -> Decision:
        """Keep so many more workers than there are now; the policy goes on from there."""
        seen = self._sized.glance()
        floor = max(seen.rule.floor, seen.ready + seen.starting) + workers
        return self._command(seen, floor, f"scale_up({workers}) was asked for.")

    def scale_down(self, workers: int = 1) -> Decision:
        """Keep so many fewer workers; busy ones and those with sessions stay until they are free."""
        seen = self._sized.glance()
        return self._command(seen, max(0, seen.rule.floor - workers), f"scale_down({workers}) was asked for.")

    def journal(self, most: int = 100) -> tuple[Decision, ...]:
        """The last decisions of this run, the oldest first; looks that left all as it was are not in it."""
        return self._journal.last(most)

    def story(self, most: int = 100) -> str:
        """The last entries of the journal as a text for people, the oldest first."""
        return story(self.journal(most))

    def _command(self, seen: Observation, floor: int, reason: str) -> Decision:
        rule, floor = seen.rule, min(max(floor, seen.low), seen.high)
        is_fixed = rule.floor == rule.ceiling
        wanted = replace(rule, floor=floor, ceiling=floor if is_fixed else max(rule.ceiling, floor))
        decision = self._decider.command(seen, wanted, reason)
        return self._adopt(decision, seen)

    def _begin(self) -> None:
        """Look; and decide, or ask the policy to."""
        self._has_looked = True
        self._due_at = self._clock() + self._interval_s
        seen = self._sized.observe()
        if why := self._decider.take(seen):
            self._adopt(self._decider.held(seen, why), seen)
        elif taken_back := self._decider.taken_back(seen):
            self._adopt(taken_back, seen)
        elif self._light is not None:
            self._decide(seen, self._light.propose(seen))
        elif not self._has_traffic and not (len(seen.arrivals) or len(seen.ended)):
            self._adopt(self._decider.held(seen, "No call has come yet."), seen)  # its process need not start
        else:
            self._has_traffic = True
            loop, asked, self._is_asking = asyncio.get_running_loop(), self._decider, True
            self._ask(seen, lambda answer: _post(loop, self._answered, asked, seen, answer))

    def _ask(self, seen: Observation, then: Callable[[Answer], object]) -> None:
        if self._light is not None:
            then(self._light.propose(seen))
        elif self._side is None or not self._side.ask(seen, then):
            then("The policy has not answered earlier questions yet.")

    def _answered(self, asked: Decider, seen: Observation, answer: Answer) -> None:
        if self._state == "closed" or asked is not self._decider:  # it is configured otherwise by now
            return
        self._is_asking = False
        if seen.rule != self._sized.rule:
            self._adopt(self._decider.held(seen, "Another rule was set while the policy thought."), seen)
        else:
            self._decide(seen, answer)

    def _decide(self, seen: Observation, answer: Answer) -> None:
        if isinstance(answer, Proposal):
            self._adopt(self._decider.decide(seen, answer), seen)
        else:
            self._adopt(self._decider.held(seen, answer), seen)

    def _adopt(self, decision: Decision, seen: Observation) -> Decision:
        """Have the decision's rule adopted, unless the optimizer is frozen, and enter it in the journal."""
        if decision.is_change and self._state == "frozen":
            frozen = (*decision.guard, "The optimizer is frozen: nothing changes.")
            decision = replace(decision, kind="hold", rule=decision.before, guard=frozen)
        decision = replace(decision, wall=self._wall_clock())
        self._decider.adopt(decision, seen)
        if decision.is_change:
            self._sized.size_by(decision.rule, decision.reason)
        self._enter(decision)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            _settle(future, decision)
        return decision

    def _enter(self, decision: Decision) -> None:
        verdicts, self._decider.verdicts = self._decider.verdicts, []
        self._journal.conclude(verdicts)
        bus = self._bus
        for verdict in verdicts:
            if bus and bus.has_listener(events.OptimizerConcluded.name):
                bus.execute(events.OptimizerConcluded(verdict.number, verdict.is_worse, verdict.sentence))
        if self._journal.enter(decision) and bus and bus.has_listener(events.OptimizerDecided.name):
            told = change(decision.before, decision.rule)
            fields = decision.number, decision.kind, decision.rule.floor, decision.rule.spares, told, decision.reason
            bus.execute(events.OptimizerDecided(*fields))


def _settle(future: asyncio.Future[Decision] | asyncio.Future[Answer], value: Decision | Answer) -> None:
    if not future.done():
        future.set_result(value)  # type: ignore[arg-type]


def _post(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Call a function on the loop, from any thread, unless the loop is closed: then nobody waits."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        pass
