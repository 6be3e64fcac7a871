"""The seams: what the pool needs from an engine, a clock and a session store, as protocols.

The core decides, an `Engine` makes workers exist and carries frames; neither knows the other. What goes up through
`EngineEvents` are facts, what comes down are orders. Part of the vocabulary: no implementation here.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

OperationKind = Literal["plain", "async", "stream", "async_stream"]
AnswerKind = Literal["ok", "failed", "interrupted", "expired", "skipped"]

FUNCTION = 0
NO_OPERATION = 65_532  # what an image is asked for that lost the operation: it answers `bad_argument`
EXPORT_CONCURRENT = 65_533  # the same as EXPORT_SESSION, while the worker runs another session's call
EXPORT_SESSION = 65_534
EXPORTS = (EXPORT_SESSION, EXPORT_CONCURRENT)
CLOSE_SESSION = 65_535

# The pool's own events begin with these: nobody shall take a program's or a handler's for one of them.
RESERVED_EVENTS = frozenset({"pool", "queue", "worker", "call", "breaker", "session", "alert", "optimizer", "warming"})


CRASH = "Fatal Python error"  # what faulthandler begins with
STACK_LINES = 12  # of what it writes


class NoStack(RuntimeError):
    """The stacks of a worker's threads cannot be had, and why."""


class Timer(Protocol):
    """Something that will happen unless it is cancelled."""

    def cancel(self) -> None:
        """Let it not happen."""


class Clock(Protocol):
    """Where time comes from: monotonic seconds, the same in every process of the machine."""

    def now(self) -> float:
        """The time, in seconds."""
        ...

    def call_at(self, loop: AbstractEventLoop, at: float, callback: Callable[[], None]) -> Timer:
        """Call back on the loop when the time is `at`, or in its next turn if that has passed."""
        ...


class Chance(Protocol):
    """Where randomness comes from; a `random.Random` is one."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        ...


@dataclass(frozen=True, slots=True)
class OperationFacts:
    """What the handler's side reports of one operation: enough to check arguments without importing the handler.

    `positional` are the parameters that may be given by position, in order, `self` and `session` left out;
    `required` of them have no default. `keyword_only` and `required_keywords` are names. `more_positional` and
    `more_keywords` say that there is a `*args` or a `**kwargs`. `session`: it takes one; `session_optional`: it has a
    default for calls without. `doc` is its docstring. `schema` is JSON text, from its type hints: an object with the
    JSON Schemas `arguments` (an object, by name) and `result` (of a stream: of an item), and `$defs` for both.
    """

    name: str
    kind: OperationKind
    session: bool
    positional: tuple[str, ...]
    positional_only: int
    required: int
    keyword_only: tuple[str, ...]
    required_keywords: tuple[str, ...]
    more_positional: bool
    more_keywords: bool
    session_optional: bool = False
    doc: str = ""
    schema: str = ""


@dataclass(frozen=True, slots=True)
class HandlerFacts:
    """A handler's name, its operations in the order of their numbers (from 1), and the hooks it defines.

    `removed` are operations that newer code has no more: they keep their numbers.
    """

    name: str
    operations: tuple[OperationFacts, ...]
    hooks: tuple[str, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Death:
    """How a process ended: by `signal` or with `exit_code`, and the end of what it wrote to stderr.

    `hint` is what else is known of it, such as that the kernel killed for memory.
    """

    signal: int | None
    exit_code: int | None
    stderr_tail: str = ""
    hint: str = ""

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.exit_code}"
        known = self.signal in signal.valid_signals()
        return f"signal {self.signal} ({signal.Signals(self.signal).name})" if known else f"signal {self.signal}"

    @property
    def native_stack(self) -> str:
        """What faulthandler wrote when the process crashed, as much of it as is in the tail; or empty."""
        _, crash, stack = self.stderr_tail.rpartition(CRASH)
        lines = f"{crash}{stack}".splitlines()[:STACK_LINES] if crash else []
        return "\n".join(line.rstrip() for line in lines)


@dataclass(slots=True)
class EngineSpec:
    """What an engine needs to make workers: the handler, its constructor's arguments, and the pool's settings.

    `clock` is for engines whose workers share the pool's time because they have none of their own. `definitions` says
    what the program's `__main__` defines, for those whose workers have another (`wire.definitions`).
    """

    handler: type | str | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    settings: Any
    run_id: str
    clock: Clock | None = None
    definitions: Any = None

    def let_go(self) -> None:
        """The engine is closed: whoever still holds on to it holds nothing of the handler's with it."""
        self.args, self.kwargs = (), {}


class EngineEvents(Protocol):
    """What an engine tells; called on the loop's thread only, `worker` being the record given to `start`."""

    def warming(self, worker: Any, pid: int) -> None:
        """The worker's handler exists; its warm-up runs."""

    def ready(self, worker: Any, pid: int) -> None:
        """The worker answered its handshake."""

    def start_failed(self, worker: Any, message: str, brief: str) -> None:
        """The worker said why it cannot start (the user's traceback last); `gone` follows.

        `brief` is what a log may repeat: no text of the handler's, but the exception's type and where it was raised.
        """

    def gone(self, worker: Any, death: Death, started: Iterable[int]) -> None:
        """The worker is dead and reaped, all it answered was delivered; `started` are call ids that had begun."""

    def stopped(self, worker: Any, is_stopped: bool) -> None:
        """The process was stopped (SIGSTOP) or continued."""

    def answered(
        self,
        worker: Any,
        call_id: int,
        kind: AnswerKind,
        value: Any,
        started: float,
        ended: float,
        flags: int,
        now: float,
        nbytes: int = 0,
    ) -> None:
        """An answer: `value` is the decoded result (`ok`) or exception (`failed`); when it began and ended is the
        worker's word, `now` the engine's; `nbytes` is how large a result was when it came.

        Nothing need come of it before `batch_end`, so that answers which came together are worked off together.
        """

    def saved(self, worker: Any, call_id: int, lease: int, flags: int, body: bytes) -> None:
        """Told right before the answer of a session's call, with durability: the state that the call leaves.

        `lease` is the binding it was run under; `flags` and `body` are those of `millpond.wire.saved`.
        """

    def batch_end(self) -> None:
        """The answers that came together have been delivered."""

    def undelivered(self, error: BaseException) -> None:
        """A fact could not be delivered because that raised: it is noted, and the rest is delivered."""

    def item(self, worker: Any, call_id: int, value: Any) -> None:
        """One item of a stream."""

    def ponged(self, worker: Any, held: int) -> None:
        """The answer to a ping: when the worker came to it, it held so many calls that came before and had no answer.

        All it had answered by then was told.
        """

    def distrusted(self, worker: Any, why: str) -> None:
        """The worker broke the protocol, and nothing more of it is read: it is to be killed."""

    def logged(self, worker: Any, call_id: int, level: int, logger: str, message: str) -> None:
        """A record of the worker's `logging`."""

    def emitted(
        self,
        worker: Any,
        call_id: int,
        name: str,
        measurements: Mapping[str, Any],
        metadata: Mapping[str, Any],
        suppressed: int,
    ) -> None:
        """The handler said something of its own (`millpond.emit`); nothing need come of it before `batch_end`."""

    def stood_still(self, since: float) -> float:
        """Of the seconds since then (by the pool's clock), those in which the pool did not run: its loop was blocked or
        the program stopped. Nobody is to be judged by these: what came in meanwhile is not read yet."""
        ...

    def engine_lost(self, message: str) -> None:
        """No worker can be started before `engine_back`, which an order to `revive` may bring about."""

    def workers_lost(self, workers: Iterable[Any], message: str) -> None:
        """These are dead with their warden, or about to be; `gone` follows for each when all they answered was told."""

    def engine_back(self) -> None:
        """Workers can be started."""


class Trace(Protocol):
    """One call as somebody who traces sees it."""

    @property
    def header(self) -> bytes:
        """What the worker is told: a W3C `traceparent`, and after a newline the `tracestate` if there is one."""
        ...

    def end(self, ending: str, code: str | None, error: BaseException | None) -> None:
        """The call ended; called once, on the loop's thread. `code` and `error` are `None` if it was answered."""


class TraceSource(Protocol):
    """Who traces calls, such as OpenTelemetry."""

    def begin(self, operation: str, attributes: Mapping[str, Any]) -> Trace | None:
        """A call is being made out, in its caller's thread and context; `None` leaves it untraced.

        `attributes` are of the span, but for `traceparent` and `tracestate`: the W3C headers of a caller elsewhere,
        whose child it is.
        """
        ...


class Engine(Protocol):
    """Makes workers and carries calls to them. All methods are called on the loop's thread; only four are async.

    What each order has to be answered with, through `EngineEvents`, and when:

    - `start`: `warming` when the handler exists and `ready` when the worker answered its handshake, or `start_failed`.
      Whatever comes of it, one `gone` is the last that is told of the worker, after all it had answered.
    - `send`: one `answered` for each call, unless its worker dies before that (`gone` names it in `started` if it had
      begun). A worker begins calls in the order they were sent, `concurrency` at a time; concurrent exports beside
      them. Items of a stream come as `item` before it, a session's state as `saved` right before it.
    - `withdraw`: the answer is what it returns. After a true one the call is named no more: when the worker comes to
      it, `answered` tells of call 0 that it was skipped or expired. After a false one its `answered` follows.
    - `interrupt`: nothing of its own; the call's `answered` comes as ever, perhaps as `interrupted`.
    - `ping`: one `ponged`, when the worker has come to it; none if the worker dies or is stopped.
    - `stop`, `kill`: `gone`, once the process is reaped; after `stop` the worker runs its teardown first.
    - `revive`: `engine_back`, or `engine_lost` again.
    - `forget_session`, `credit`, `settle`: nothing. `memory`, `is_stopped`, `heartbeat`, `holds`, `stack`: what they
      return.

    No order waits: what cannot be done at once is done later, in the order in which it was asked for.
    """

    async def open(self, spec: EngineSpec, events: EngineEvents) -> HandlerFacts | None:
        """Prepare the image and return the handler's facts, or `None` if the first worker has to tell them.

        Raises `StartFailed` with the user's traceback last. Cancelling leaves nothing running.
        """

    async def close(self) -> None:
        """End every worker and helper process, whatever they do, and free every file descriptor. Idempotent."""

    async def renew(self) -> HandlerFacts | None:
        """Load the handler's code anew; workers started from now on have it, `settle` follows.

        Returns the new facts, in which every operation keeps its number, or `None` if a worker has to tell them.
        Raises `StartFailed` with the user's traceback last, and nothing has changed.
        """

    def settle(self, is_kept: bool) -> None:
        """Whether the code loaded by `renew` stays; if not, workers are made from the code before again."""

    def facts(self) -> HandlerFacts | None:
        """The handler's facts once they are known."""

    def start(self, worker: Any) -> None:
        """Begin to make a worker; `warming`, `ready` or `start_failed` and `gone` follow."""

    def revive(self) -> None:
        """After `engine_lost`: try to go on; `engine_back` or `engine_lost` follows."""

    def send(self, worker: Any, call: Any) -> None:
        """Give a call to a worker; its buffers are copied out before this returns.

        As of any order, what it raises ends at most what the order is about (`core/stimuli/failures.py`).
        """

    def holds(self, worker: Any, call: Any) -> bool:
        """Whether the worker was given the call and has not answered it: asked when `send` raised."""
        ...

    def withdraw(self, worker: Any, call: Any) -> bool:
        """Take back a call that was sent. True: proven that it did not and will not start."""

    def interrupt(self, worker: Any, call: Any) -> None:
        """Ask the operation to stop; may be repeated."""

    def credit(self, worker: Any, call_id: int, items: int) -> None:
        """Let a stream go on by so many items."""

    def forget_session(self, worker: Any, number: int) -> None:
        """Drop a session's record in the worker, without its closing hook; nothing if the worker has none."""

    def ping(self, worker: Any) -> None:
        """Ask a worker for a sign; `ponged` follows, when it comes to it."""

    def stop(self, worker: Any) -> None:
        """Let an idle worker say goodbye (its `teardown`) and exit."""

    def kill(self, worker: Any) -> None:
        """End a worker and everything it started, at once."""

    def check(self) -> None:
        """Look for what stands still in the channels; asked twice a second while the program itself runs.

        What does so for four looks (2 s) is told by `distrusted`. Memory that a burst left is given back here, too.
        """

    def heartbeat(self, worker: Any) -> float:
        """When the worker's interpreter last gave a sign (monotonic seconds): stale while native code holds the GIL."""

    def is_stopped(self, worker: Any) -> bool:
        """Whether the worker's process is stopped (SIGSTOP) at this moment."""
        ...

    def catch_up(self) -> None:
        """Read and tell all that came in until now, at once: whoever is about to judge was away for a while."""

    def memory(self, worker: Any) -> int | None:
        """Private memory of the worker, in bytes, or `None` if it cannot be read."""

    async def stack(self, worker: Any) -> str:
        """The Python stacks of the worker's threads at this moment, also while native code keeps the interpreter.

        Disturbs nothing that the worker does. Raises `NoStack` with the reason within a second: the worker is stopped,
        gone or not started, does not answer, or there are no processes.
        """
        ...

    def logs(self, worker: Any | None = None) -> str:
        """What workers wrote (the kept end of it), of one or of all."""


@dataclass(slots=True)  # a frozen one takes ten times as long to make, and each session that sleeps makes one
class SessionRecord:
    """A session's state outside of any worker; nobody changes one that was made.

    `(generation, lease, version)` is how new it is: the generation rises when the session is reopened, the lease with
    each binding to a worker, the version with each state under one lease. `state` is bytes in a store; in the core's
    orders it is what the worker sent, and `kind` (how the bytes are read) and `saved_at` (Unix time) are not set yet.
    """

    id: str
    generation: int
    lease: int
    version: int
    state: Any
    kind: str = ""
    saved_at: float = 0.0

    @property
    def age(self) -> tuple[int, int, int]:
        """What fences it: a record never replaces one of a higher age."""
        return self.generation, self.lease, self.version


class SessionStore(Protocol):
    """Where the states of one pool's sessions are kept while no worker holds them; one contract suite tests them all.

    Threads: one at a time calls it, and every call between two `open`s comes from the same thread. That is the loop's
    for a store that `is_immediate`, else a thread of the pool's own, which may wait for a disk.

    Failures: `open` to `ids` raise `StoreFailed` and nothing else; then nothing of what the call asked for was done,
    or all of it was and cannot be proven. `close` raises nothing.
    """

    is_immediate: bool  # whether its methods return at once, as memory does
    survives: bool  # whether the next program finds what was committed; then a pool asks for sessions it does not know

    def open(self) -> None:
        """Be ready. From here on whoever opened the same sessions before can write no more: its writes fail."""

    def put_many(self, records: Sequence[SessionRecord]) -> None:
        """Commit all of them or none; when this returns they are kept as the store promises.

        A record that is older than the one there (see `SessionRecord.age`) is passed over, in silence: it is late.
        """

    def get(self, session_id: str) -> SessionRecord | None:
        """The record of that session, if there is one; it stays."""
        ...

    def delete_many(self, erased: Sequence[tuple[str, int]]) -> None:
        """Forget the records of these ids, unless they are of a higher generation than the one beside the id."""

    def ids(self) -> list[str]:
        """The sessions there are records of, in no order."""
        ...

    def forget_before(self, wall_time: float) -> int:
        """Forget what was saved before then (Unix time), and say how many."""
        ...

    def close(self) -> None:
        """Let go of file and memory. May be called twice; may be opened again."""
