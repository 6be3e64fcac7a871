"""Every setting of a pool: unit, default, bounds, and whether it can change while the pool runs.

A `Settings` is frozen and checked when made; what is unknown or out of range raises, naming the nearest known key, and
nothing is corrected in silence. The table in `docs/settings.md` is printed from here. Part of the vocabulary.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from millpond.cores import cores
from millpond.environment import ALWAYS, check_environment
from millpond.files import check_place
from millpond.slo import Slo

StartMethod = Literal["fork", "spawn"]
CodecName = Literal["pickle", "msgpack"]
Affinity = Literal["strict", "fail_fast", "hint"]
Isolation = Literal["shared", "process"]
Durability = Literal["none", "reply", "disk"]
OnRestore = Literal["raise", "continue"]
OnInterrupt = Literal["keep", "replace"]
OnCancel = Literal["interrupt", "abandon"]
Output = Literal["ring", "inherit"]
SizingMode = Literal["prompt", "economy"]

KiB, MiB = 1024, 1024 * 1024
MOST_PAYLOAD_BYTES = 4094 * MiB  # a frame says its length, of which the payload is all but 1 MiB, in 32 bits
POLICIES = ("rehearsal", "fixed", "target", "threshold")  # of the optimizer
# What other pools and clients call it -> its name here.
MEANT = {
    "timeout": "deadline",
    "time_limit": "deadline",
    "workers": "max_workers",
    "max_tasks_per_child": "max_calls",
    "maxtasksperchild": "max_calls",
    "mp_context": "start_method",
    "retry": "idempotent",
    "retries": "max_attempts",
}
LONGEST_DEADLINE_S = 1e8  # three years; what is longer is no deadline, and `None` says that
HIGHEST_PRIORITY = 2**31  # and, negated, the lowest


def _setting(
    default: Any, what: str, unit: str = "", low: float | None = None, high: float | None = None, live: bool = False
) -> Any:
    """Declare one setting; `low` and `high` are inclusive, `live` ones may change while the pool runs."""
    facts = {"what": what, "unit": unit, "low": low, "high": high, "live": live}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=facts)
    return dataclasses.field(default=default, metadata=facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one pool. Every field is a keyword of `Pool`, `SyncPool` and `Executor`."""

    # Size
    min_workers: int = _setting(1, "workers kept alive at least", low=0, high=1024, live=True)
    max_workers: int = _setting(
        cores,
        "workers alive at most (default: the cores, or `min_workers` if more)",
        low=1,
        high=1024,
        live=True,
    )
    spare_workers: int = _setting(0, "workers kept warm beyond those that serve", low=0, high=1024, live=True)
    concurrency: int = _setting(
        1, "calls one worker runs at a time: threads for plain operations, tasks for async ones", low=1, high=256
    )
    idle_timeout: float | None = _setting(
        None,
        "idle time after which a worker above `min_workers` goes at the latest; None for what the sizing rule says",
        "s",
        0.05,
        live=True,
    )

    # The optimizer
    optimizer: bool = _setting(True, "whether the parameters by which the pool is sized are chosen for its load")
    slo: Slo = _setting(Slo, "the objective of sizing: which share of the calls may wait how long")
    mode: SizingMode = _setting("prompt", "whether calls may be kept waiting, within the objective, to spare workers")
    policy: str | object = _setting(
        "rehearsal",
        f"who chooses: {', '.join(f'`{name!r}`' for name in POLICIES)}, `'module:Class'`, or a class of your own",
    )

    # Calls
    deadline: float | None = _setting(
        60.0, "default deadline of a call, queueing included; None for none", "s", 0.0, LONGEST_DEADLINE_S
    )
    max_queued: int | None = _setting(
        20_000, "calls waiting beyond workers x concurrency; None for no bound", low=0, live=True
    )
    max_queued_bytes: int | None = _setting(
        256 * MiB, "bytes of waiting arguments; None for no bound", "bytes", 0, live=True
    )
    overload_control: bool = _setting(
        True, "whether calls that cannot be answered within their deadline are refused, rather than begun", live=True
    )
    max_payload: int = _setting(
        256 * MiB, "bytes of one call's arguments, or of its result", "bytes", 1, MOST_PAYLOAD_BYTES
    )
    codec: CodecName = _setting("pickle", "how arguments and results travel")
    cancel_grace: float = _setting(
        1.0, "time an interrupted call has to come back before its worker is killed", "s", 0.0, live=True
    )
    on_interrupt: OnInterrupt = _setting("keep", "whether a worker that came back from an interrupt is trusted")
    priority_age: float = _setting(1.0, "waiting time that outweighs one step of priority", "s", 0.001, 1e8)
    max_attempts: int = _setting(3, "times a call may be given to a worker, retries included", low=1, high=10)
    retry_backoff: float = _setting(0.05, "first pause before a retry; doubles, with jitter", "s", 0.0)
    breaker_faults: int = _setting(5, "deaths or running deadlines in the window that open a breaker", low=1)
    breaker_share: float = _setting(0.8, "their share of the operation's endings in the window", "share", 0.0, 1.0)
    breaker_window: float = _setting(10.0, "the window breakers look at", "s", 0.1)
    breaker_reset: float = _setting(5.0, "time until an open breaker lets one probe through; doubles", "s", 0.01)
    stream_window: int = _setting(16, "items a stream may be ahead of its reader", low=1, high=4096)

    # Sessions
    affinity: Affinity = _setting("strict", "what a session's call does when its worker is busy")
    isolation: Isolation = _setting("shared", "whether sessions share workers or each has a process of its own")
    max_sessions: int = _setting(20_000, "open sessions at most", low=1)
    session_ttl: float | None = _setting(1800.0, "idle time after which a session is closed; None for never", "s", 0.01)
    sleep_after: float | None = _setting(
        60.0, "idle time after which a session leaves its worker for the store; None for never", "s", 0.01
    )
    session_store: str | object | None = _setting(
        None, "where sleeping and durable sessions are kept: None for memory, a path for SQLite, or a `SessionStore`"
    )
    durability: Durability = _setting("none", "what a session's acknowledged state survives: see the guide to sessions")
    on_restore: OnRestore = _setting("raise", "whether the first call after a restoration raises `SessionRestored`")

    # Workers
    start_method: StartMethod = _setting("fork", "fork from the warden's warm image, or spawn a fresh interpreter")
    start_timeout: float = _setting(60.0, "time a worker has to become ready", "s", 0.05)
    warmup: Sequence[Any] = _setting((), "commands (`Warmup`) run in each worker before it is given calls")
    warm_strategy: Callable[..., Any] | None = _setting(
        None, "order and pace in which workers are warmed (default: `warm_parallel`)"
    )
    min_ready: int | None = _setting(
        None, "workers that suffice for the pool to open when others fail; None for `min_workers`", low=0, high=1024
    )
    preload: Sequence[str] = _setting((), "modules the warden imports before it forks")
    max_calls: int | None = _setting(None, "calls after which a worker is replaced", low=1)
    max_lifetime: float | None = _setting(None, "age at which a worker is replaced, jittered by 10 %", "s", 0.1)
    max_memory: int | None = _setting(None, "private memory above which a worker is replaced", "bytes", MiB)
    restart_backoff: float = _setting(1.0, "pause after a failed start; doubles, with jitter", "s", 0.01)
    restart_backoff_max: float = _setting(30.0, "longest pause between failing starts", "s", 0.01)
    health_interval: float = _setting(30.0, "time between pings of an idle worker", "s", 0.05, live=True)
    stopped_timeout: float = _setting(2.0, "time after which a stopped (SIGSTOP) worker is replaced", "s", 0.05)
    drain: float = _setting(10.0, "time running calls have when the pool closes", "s", 0.0)
    handle_signals: bool = _setting(False, "whether SIGINT and SIGTERM close the pool")

    # Telemetry
    metrics: bool = _setting(True, "whether the pool adds up what happens, in `pool.metrics`")
    alerts: bool = _setting(True, "whether rules are evaluated over the metrics, in `pool.alerts`")
    history_path: str | None = _setting(
        None, "SQLite file that keeps the metrics' history and the optimizer's journal across restarts"
    )
    emit_rate: float = _setting(100.0, "events a worker may send by `millpond.emit`, each second", "/s", 0.0, 100_000.0)

    # Surroundings
    worker_env: Mapping[str, str | None] = _setting(
        dict, "environment variables of the workers and the warden; None removes one"
    )
    inherit_env: Sequence[str] | None = _setting(
        None,
        "names or globs of the program's variables they have, beside "
        f"{', '.join(f'`{name}`' for name in ALWAYS)}; None for all",
    )
    cwd: str | None = _setting(None, "working directory of the workers (default: the parent's)")
    nice: int = _setting(0, "added to the niceness of the workers", low=-20, high=19)
    rlimits: Mapping[str, int] = _setting(dict, "resource limits by name, such as {'AS': bytes, 'NOFILE': 256}")
    cpu_affinity: Sequence[int] | None = _setting(None, "cores the workers may run on; None for all")
    threads_per_worker: int | None = _setting(
        None, "OpenMP and BLAS threads (default: cores / max_workers, at least 1)", low=1, high=1024
    )
    busy_poll: float = _setting(
        0.0002,
        "time a worker looks for the next call before it sleeps, while calls come that close",
        "s",
        0.0,
        0.01,
    )
    output: Output = _setting(
        "ring", "whether what workers write is kept in a ring of `log_ring_bytes`, or goes to the program's own output"
    )
    log_ring_bytes: int = _setting(64 * KiB, "what is kept of each worker's output", "bytes", 0)

    # Buffers
    buffer_threshold: int = _setting(64 * KiB, "buffers above this leave the pickle stream", "bytes", 1024)
    buffer_bytes: int = _setting(
        64 * MiB, "shared memory for buffers, each way and worker (touched pages only)", "bytes", 0, 2**40
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name), _HINTS[field.name])
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers ({self.min_workers}) is above max_workers ({self.max_workers})")
        check_environment(self.worker_env, self.inherit_env)
        self._check_store()
        check_policy(self.policy)
        _check_limits(self.rlimits)
        if self.cpu_affinity is not None:
            _check_cores(self.cpu_affinity)

    def _check_store(self) -> None:
        store = self.session_store
        if isinstance(store, str | os.PathLike) and os.fspath(store):
            if store != "memory":
                check_place("session_store", store)
        elif store is not None and not hasattr(store, "put_many"):
            raise TypeError(f"session_store must be None, 'memory', a path, or a SessionStore, not {store!r}")
        if self.history_path is not None:
            check_place("history_path", self.history_path)
        if self.durability == "disk" and store in (None, "memory"):
            raise ValueError("durability='disk' needs a session_store that survives the program: give it a path")

    @property
    def threads(self) -> int:
        """OpenMP and BLAS threads of one worker."""
        return self.threads_per_worker or max(1, cores() // self.max_workers)

    def changed(self, **changes: Any) -> Settings:
        """A copy with `changes`; raises `TypeError` on an unknown name and `ValueError` out of range."""
        check_names(changes)
        return dataclasses.replace(self, **changes)

    def reconfigured(self, changes: Mapping[str, Any]) -> Settings:
        """As `changed`, for a pool that runs: raises `ValueError` for a setting that is not live as well."""
        check_names(changes)
        fixed = [name for name in changes if not FIELDS[name].metadata["live"]]
        if fixed:
            raise ValueError(f"{', '.join(fixed)} cannot change while the pool runs; what can is {', '.join(LIVE)}")
        return self.changed(**changes)


_HINTS = get_type_hints(Settings)
FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
LIVE = tuple(name for name, field in FIELDS.items() if field.metadata["live"])
BOUNDS = frozenset({"min_workers", "max_workers"})


def make_settings(base: Settings | None, overrides: Mapping[str, Any]) -> Settings:
    """`base` (or the defaults) with `overrides`; a floor above the cores raises the default ceiling to it."""
    if base is None and "max_workers" not in overrides and isinstance(overrides.get("min_workers"), int):
        overrides = {"max_workers": max(cores(), min(overrides["min_workers"], 1024)), **overrides}
    made = (base or Settings()).changed(**overrides)
    if made.min_ready is not None and made.min_ready > made.min_workers:
        raise ValueError(f"min_ready ({made.min_ready}) is above min_workers ({made.min_workers})")
    return made


def check_names(names: Mapping[str, Any]) -> None:
    """Raise `TypeError` for the first name that is no setting, with the nearest one that is."""
    for name in names:
        if name not in FIELDS:
            raise TypeError(f"unknown setting {name!r}; did you mean {nearest(name, FIELDS)!r}?")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was meant, as far as can be told: what others call by that name, or one spelled like it."""
    meant = MEANT.get(name.lower().removesuffix("_s"), "")
    return meant if meant in known else difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]


def check_choice(name: str, value: object) -> Any:
    """The choice that was made of a setting's. Raises `ValueError` for what is none of them."""
    _check(FIELDS[name], value, _HINTS[name])
    choices = _accepted(_HINTS[name]).choices
    return choices[choices.index(value)]


def _check(field: dataclasses.Field[Any], value: Any, hint: Any) -> None:
    """Raise `TypeError` or `ValueError` if `value` does not fit what the field declares."""
    accepted = _accepted(hint)
    if accepted.choices and value in accepted.choices:
        return
    if accepted.choices:
        raise ValueError(f"{field.name} must be one of {', '.join(map(repr, accepted.choices))}, not {value!r}")
    if (value is None and type(None) in accepted.kinds) or object in accepted.kinds:
        return
    is_lookalike = isinstance(value, bool | str) and type(value) not in accepted.kinds  # of a number, of a sequence
    if not isinstance(value, accepted.kinds) or is_lookalike:
        raise TypeError(f"{field.name} must be {_named(hint)}, not {value!r}")
    if isinstance(value, int | float):
        _check_range(field, value)


def _check_range(field: dataclasses.Field[Any], value: float) -> None:
    low, high, unit = field.metadata["low"], field.metadata["high"], field.metadata["unit"]
    if (
        (isinstance(value, float) and math.isnan(value))
        or (low is not None and value < low)
        or (high is not None and value > high)
    ):
        bounds = f"from {low} " + (f"to {high}" if high is not None else "up")
        raise ValueError(f"{field.name} must be {bounds} {unit}".rstrip() + f", not {value!r}")


def _named(hint: Any) -> str:
    """A type hint as people write it."""
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("collections.abc.", "")


def check_policy(policy: object) -> None:
    """Raise for what can be no policy; strings of a user's own are looked up when the pool opens."""
    if isinstance(policy, str):
        if policy not in POLICIES and ":" not in policy:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, 'module:Class' or a class, not {policy!r}")
    elif not isinstance(policy, type) or not hasattr(policy, "propose"):
        raise TypeError(f"policy must be a name or a class that has a method propose, not {policy!r}")


def _check_limits(limits: Mapping[str, int]) -> None:
    """Raise for a limit the system does not know, or a value that is none: else no worker would start."""
    import resource

    known = sorted(name.removeprefix("RLIMIT_") for name in dir(resource) if name.startswith("RLIMIT_"))
    for name, limit in limits.items():
        if name not in known:
            raise ValueError(f"rlimits names {name!r}, which is no limit here; known are {', '.join(known)}")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < -1:
            raise ValueError(f"rlimits[{name!r}] must be a whole number from 0 up, or -1 for none, not {limit!r}")


def _check_cores(wanted: Sequence[int]) -> None:
    """Raise for a core the machine does not have."""
    there = os.sysconf("SC_NPROCESSORS_CONF")
    for core in wanted:
        if not isinstance(core, int) or isinstance(core, bool) or not 0 <= core < there:
            raise ValueError(f"cpu_affinity names core {core!r}; the machine has 0 to {there - 1}")
    if not wanted:
        raise ValueError("cpu_affinity names no core; None lets workers run on all")


@dataclass(frozen=True, slots=True)
class _Accepted:
    choices: tuple[str, ...]
    kinds: tuple[type, ...]


def _accepted(hint: Any) -> _Accepted:
    """What a field's type hint lets in: literal choices, or classes for `isinstance`."""
    if getattr(hint, "__origin__", None) is Literal:
        return _Accepted(get_args(hint), ())
    kinds: list[type] = []
    for part in get_args(hint) if getattr(hint, "__origin__", None) is None and get_args(hint) else (hint,):
        origin = getattr(part, "__origin__", part)
        kinds += [int, float] if origin is float else [origin]
    return _Accepted((), tuple(kinds))
