"""Profiles: settings for a kind of use, with one sentence of reason for each value that differs from the default.

A profile is data: what a user sets by name stands, whatever the profile says, and bounds of the two that contradict
each other are put right on the profile's side. The tables in `docs/settings.md` are printed from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from millpond.cores import cores
from millpond.settings import KiB, MiB, Settings, nearest
from millpond.slo import Slo


@dataclass(frozen=True, slots=True)
class OfCores:
    """A number of workers that depends on the machine: `share` of its cores, at least 1."""

    share: float
    words: str  # for the docs

    def workers(self, of_cores: int) -> int:
        """How many there are on a machine of so many cores."""
        return max(1, int(self.share * of_cores))


class Value(NamedTuple):
    """What a profile sets, and why."""

    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of use, and the settings that suit it; all others have their defaults."""

    use: str
    values: Mapping[str, Value]


EACH_CORE = OfCores(1.0, "the cores")
TWICE = OfCores(2.0, "twice the cores")
HALF = OfCores(0.5, "half the cores, at least 1")

PROFILES: dict[str, Profile] = {
    "balanced": Profile("A service whose load is not known beforehand: the defaults.", {}),
    "high_throughput": Profile(
        "Many calls at once, from a batch or from thousands of callers: as many answers a second as the machine gives.",
        {
            "min_workers": Value(EACH_CORE, "All cores work from the first call on, no load is lost to a start."),
            "max_queued": Value(100_000, "A batch that is submitted at once waits in the pool; none of it is refused."),
            "max_queued_bytes": Value(1024 * MiB, "So may its arguments."),
            "deadline": Value(600.0, "A call at the end of a deep queue is not given up while those before it run."),
            "stream_window": Value(64, "A stream runs ahead of its reader, so that neither often waits for the other."),
            "affinity": Value("hint", "A session's call takes any free worker instead of waiting for a busy one."),
            "buffer_bytes": Value(256 * MiB, "Large arrays of many calls find room in shared memory at one time."),
        },
    ),
    "low_latency": Profile(
        "Somebody waits for each answer: calls find a worker that is ready, and memory is spent on that.",
        {
            "min_workers": Value(EACH_CORE, "A call that comes after a silence finds a ready worker as well."),
            "max_workers": Value(TWICE, "In a burst, calls share the cores rather than stand behind long ones."),
            "spare_workers": Value(1, "When a worker dies another is ready to take its place."),
            "slo": Value(
                Slo(wait=0.1), "An optimizer sees to it that hardly any call waits longer than a tenth of a second."
            ),
            "deadline": Value(10.0, "A later answer is of no use to who waits: the call fails while that still helps."),
            "max_queued": Value(1_000, "A deep queue is only waiting: beyond it callers are told to come again."),
            "retry_backoff": Value(0.01, "A call that may be tried again is so while its caller still waits."),
            "affinity": Value("hint", "A session's call need not wait for a worker that another session keeps busy."),
            "sleep_after": Value(600.0, "A session that pauses for minutes is in a worker still when it goes on."),
            "health_interval": Value(5.0, "An idle worker that hangs is found before a caller finds it."),
        },
    ),
    "resource_constrained": Profile(
        "A small machine, or one that has other work: as little memory and processor time as the objective allows.",
        {
            "min_workers": Value(0, "Without calls there is no worker; one that is forked is there in milliseconds."),
            "max_workers": Value(HALF, "The other cores are for whatever else runs on the machine."),
            "mode": Value("economy", "A call waits within the objective where that spares a worker."),
            "idle_timeout": Value(15.0, "A worker that nobody needs gives its memory back within seconds."),
            "affinity": Value("hint", "Few workers serve many sessions, wherever there is room."),
            "sleep_after": Value(5.0, "A session that pauses keeps no worker: it takes less room in the store."),
            "nice": Value(5, "Other programs come first where the processor is short."),
            "busy_poll": Value(0.0, "A worker that waits for a call uses no processor time."),
            "threads_per_worker": Value(1, "Numeric libraries take no more cores than there are workers."),
            "max_queued": Value(2_000, "What waits holds its arguments in memory."),
            "max_queued_bytes": Value(64 * MiB, "They hold so much of it at most."),
            "buffer_bytes": Value(8 * MiB, "What does not fit into the shared memory goes through the socket."),
            "log_ring_bytes": Value(16 * KiB, "The end of what a worker wrote is what tells why it died."),
        },
    ),
    "development": Profile(
        "Somebody writes the handler: what is wrong shows at once, and a debugger has time.",
        {
            "max_workers": Value(2, "Two show what one would hide: what a call leaves in one is not in the other."),
            "min_workers": Value(2, "Both are there from the beginning, so that two calls at one time show it."),
            "deadline": Value(3_600.0, "A call that stands at a breakpoint is not ended."),
            "start_timeout": Value(3_600.0, "Nor is a worker whose constructor does."),
            "sleep_after": Value(2.0, "A session whose state cannot leave its worker says so now, not in production."),
            "session_ttl": Value(None, "A session is there after lunch."),
            "max_attempts": Value(1, "A fault shows the first time, and not after two that were hidden by retries."),
            "output": Value("inherit", "What a handler prints is on the screen as it is printed."),
            "drain": Value(1.0, "Ctrl-C ends the program in a second, whatever its calls do."),
        },
    ),
}


def profile_named(name: str) -> Profile:
    """The profile of that name. Raises `ValueError` for one there is not, naming the nearest."""
    if not isinstance(name, str) or name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; did you mean {nearest(str(name), PROFILES)!r}?")
    return PROFILES[name]


def chosen_settings(name: str, whole: Settings | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a user chose by a profile, a whole `Settings`, and single settings.

    Raises `ValueError` for a profile beside a `Settings`, which says all there is to say already.
    """
    values = profile_named(name).values
    if whole is not None and values:
        raise ValueError(
            f"settings= has a value for every setting, and profile={name!r} has no say beside it; give the profile and "
            "single settings, or leave it out"
        )
    return profile_settings(name, given) if values else given


def profile_settings(name: str, given: Mapping[str, Any], of_cores: int | None = None) -> dict[str, Any]:
    """A profile's settings on a machine of so many cores (default: this one), with those that were given, which win.

    Where a bound that was given contradicts the profile's other bound, that one gives way. Raises as `profile_named`.
    """
    number = of_cores or cores()
    chosen = {setting: one.value for setting, one in profile_named(name).values.items()}
    made = {setting: _of(value, number) for setting, value in chosen.items()} | dict(given)
    low, high = made.get("min_workers"), made.get("max_workers")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        if "min_workers" not in given:
            made["min_workers"] = high
        elif "max_workers" not in given:
            made["max_workers"] = low
    return made


def _of(value: Any, of_cores: int) -> Any:
    return value.workers(of_cores) if isinstance(value, OfCores) else value
