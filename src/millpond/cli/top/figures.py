"""What `top` shows of a pool, from the snapshots that come each second: texts and numbers, no screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from millpond.cli.terminal import sparkline
from millpond.errors import Ending

KEPT_S = 300  # of sparklines
RATE_S = 10  # that a rate looks back on
SPARKLINE = 8  # columns of its name
WELL, BUSY, BAD = "well", "full", "bad"
TONES = {"healthy": WELL, "slow": BUSY, "saturated": BUSY}  # all others are bad
LEAVING = ("draining", "closing", "closed")


@dataclass(slots=True)
class Seen:
    """One pool, as far as it was told."""

    snapshot: Mapping[str, Any] = field(default_factory=dict)
    steps: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_S))
    events: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=50))  # newest first
    firing: Sequence[Mapping[str, Any]] = ()
    decision: Mapping[str, Any] | None = None  # the optimizer's last

    def take(self, event: Mapping[str, Any]) -> None:
        """An event that came."""
        if event.get("event") == "snapshot":
            self.snapshot = event["snapshot"]
            if self.snapshot["step"] is not None:
                self.steps.append(self.snapshot["step"])
        elif "wall" in event:
            self.events.appendleft(event)
            if event["event"] == "optimizer.decision":
                self.decision = event

    def begin_with(self, history: Mapping[str, Any]) -> None:
        """The steps before the first snapshot, from the pool's history."""
        for at, wall in enumerate(history["wall"]):
            told = {
                kind: {name: values[at] for name, values in history[kind].items()} for kind in ("counters", "gauges")
            }
            tail = history["percentiles"]["latency"]["p99"][at]
            told["percentiles"] = {"latency": {"p99": tail}}
            self.steps.append({"wall": wall, "seconds": history["seconds"][at], **told})

    def look_back(self, gone: Sequence[Mapping[str, Any]]) -> None:
        """The workers that went before the first event."""
        self.events.extend({"wall": one["wall"], "event": "worker.gone", **_told(one)} for one in gone)

    def counted(self, names: Sequence[str], seconds: int) -> float:
        """How much these counters grew in the last steps."""
        return sum((step["counters"].get(name, 0.0) for step in self._last(seconds) for name in names), 0.0)

    def covered_s(self, seconds: int) -> float:
        """Seconds of the last steps."""
        return sum((step["seconds"] for step in self._last(seconds)), 0.0)

    def _last(self, seconds: int) -> list[Mapping[str, Any]]:
        return list(self.steps)[-seconds:]


def _told(gone: Mapping[str, Any]) -> dict[str, Any]:
    return {name: gone[name] for name in ("worker", "cause", "reason", "signal", "exit_code", "sessions", "seconds")}


HISTORY = ("busy_s", "available_s", "queued", "oldest_wait_s", "latency")  # beside the endings
ENDINGS = tuple(f"endings.{ending}" for ending in get_args(Ending))
UNANSWERED = tuple(name for name in ENDINGS if name not in ("endings.ok", "endings.cancelled"))


def verdict(seen: Seen) -> tuple[str, str, str]:
    """The state in a word, its tone, and the reason."""
    now = seen.snapshot
    if now["state"] in LEAVING or not now["is_ready"]:
        return now["state"], BAD if now["state"] in LEAVING else BUSY, ""
    health = now["health"]
    word = health["state"].replace("_", " ")
    return f"{word} {health['score']:.0f}/100", TONES.get(health["state"], BAD), health["reason"]


def lost_points(seen: Seen) -> list[str]:
    """Where points of the health went, most first, and what else there is to say; the verdict's reason not again."""
    health = seen.snapshot["health"]
    lost = sorted(((part["weight"] - part["score"], part) for part in health["components"]), key=lambda each: -each[0])
    return [
        f"-{points:.0f} {part['name'].replace('_', ' ')}"
        + (f": {part['reason']}" if part["reason"] != health["reason"] else "")
        for points, part in lost
        if points >= 1
    ] + list(health["notes"])


def numbers(seen: Seen) -> list[str]:
    """The figures, each as a piece that is not broken."""
    now, minute = seen.snapshot, seen.snapshot["percentiles"].get("60", {}).get("latency", {})
    ended, unanswered = seen.counted(ENDINGS, 60), seen.counted(UNANSWERED, 60)
    covered = seen.covered_s(RATE_S)
    bounds, sessions = now["bounds"], now["sessions"]
    pieces = [
        f"calls/s {_number(seen.counted(ENDINGS, RATE_S) / covered if covered else None)}",
        f"p50 {duration(minute.get('p50'))}",
        f"p99 {duration(minute.get('p99'))}",
        f"not answered {_share(unanswered / ended if ended else 0.0)}",
        f"running {now['running']:,}",
        f"waiting {now['queued']:,}" + _oldest(seen),
        f"workers {now['alive']:,} of {bounds['min_workers']:,}..{bounds['max_workers']:,}",
        f"wanted {now['wanted']:,}",
        f"asked for {now['asked_for']:,}",
        f"sessions {sessions['open']:,} ({sessions['asleep']:,} asleep, {sessions['lost']:,} lost)",
    ]
    if now["optimizer"] not in (None, "running"):
        pieces.append(f"optimizer {now['optimizer']}")
    if now["warming"]:
        pieces.append(f"warming {now['warming']['done']:,} of {now['warming']['of']:,}")
    if now["firing"]:
        pieces.append(f"alerts firing {now['firing']:,}")
    return pieces


def _oldest(seen: Seen) -> str:
    wait = seen.steps[-1]["gauges"].get("oldest_wait_s", 0.0) if seen.steps else 0.0
    return f" (for {duration(wait)})" if wait else ""


def utilization(seen: Seen) -> float | None:
    """The share of the workers' time in which they held a call; `None` if there was none."""
    available = seen.counted(("available_s",), RATE_S)
    return min(1.0, seen.counted(("busy_s",), RATE_S) / available) if available else None


def bar(share: float | None, columns: int) -> str:
    """A share as a bar with its number."""
    room = max(4, columns - len("busy  100 %") - 1)
    full = round(room * (share or 0.0))
    return f"busy {'█' * full}{'░' * (room - full)} {_share(share)}"


def sparklines(seen: Seen, columns: int) -> list[str]:
    """Calls a second, the p99 of latency and the calls that wait, of the last minutes."""
    steps = list(seen.steps)
    room = columns - SPARKLINE
    rates = [sum(step["counters"].get(name, 0.0) for name in ENDINGS) / step["seconds"] for step in steps]
    tails = [step["percentiles"]["latency"]["p99"] or 0.0 for step in steps]
    waiting = [step["gauges"].get("queued", 0.0) for step in steps]
    named = (("calls/s", rates), ("p99", tails), ("waiting", waiting))
    return [f"{name:<{SPARKLINE}}{sparkline(values, room)}" for name, values in named]


COLUMNS = ("worker", "state", "runs", "for", "sessions", "calls", "busy", "memory", "cpu")
SORTS = ("worker", "state", "for", "sessions", "calls", "busy", "memory", "cpu")  # which sort the workers, in turn


def workers(seen: Seen, by: str) -> list[tuple[str, ...]]:
    """A row for each worker, the highest of `by` first (of their numbers and states, the lowest)."""
    keys = {"for": "seconds", "busy": "utilization", "memory": "rss"}
    found = sorted(seen.snapshot["each_worker"], key=lambda one: one["worker"])
    if by == "state":
        found.sort(key=lambda one: one["state"])
    elif by != "worker":
        found.sort(key=lambda one: -(one[keys.get(by, by)] or 0.0))
    return [
        (
            f"{one['worker']}",
            one["state"],
            one["operation"] or "",
            duration(one["seconds"]) if one["operation"] else "",
            f"{one['sessions']:,}",
            f"{one['calls']:,}",
            _share(one["utilization"]),
            size(one["rss"]),
            _share(one["cpu"]),
        )
        for one in found
    ]


def alerts(seen: Seen) -> list[tuple[str, str]]:
    """The alerts that fire with their tones, critical ones first."""
    found = [(one["labels"].get("severity") == "critical", one) for one in seen.firing]
    found.sort(key=lambda each: not each[0])
    return [
        (f"{one['name']}: {one['annotations'].get('summary', '')}", BAD if is_critical else BUSY)
        for is_critical, one in found
    ]


def happened(event: Mapping[str, Any]) -> str:
    """An event in one line, without its time."""
    facts = (
        f"{name} {_fact(name, value)}"
        for name, value in event.items()
        if name not in ("wall", "event", "fingerprint", "pid") and value not in (None, "")
    )
    return f"{event['event']} {', '.join(facts)}"


def _fact(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return duration(value) if name == "seconds" else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """`640 us`, `12.3 ms`, `4.5 s`, `3 min`, `2.1 h`."""
    if seconds is None:
        return "-"
    for unit, of, most in (("us", 1e-6, 1e-3), ("ms", 1e-3, 1.0), ("s", 1.0, 100.0), ("min", 60.0, 6000.0)):
        if seconds < most:
            return f"{_number(seconds / of)} {unit}"
    return f"{_number(seconds / 3600)} h"


def size(count: float | None) -> str:
    """Bytes: `42.1 MB`."""
    if count is None or count < 0:
        return "-"
    for unit, of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= of:
            return f"{_number(count / of)} {unit}"
    return f"{count:.0f} B"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.{0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}" if value >= 0.0995 or not value else f"{value:.1%}"
