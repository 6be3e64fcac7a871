"""The screen of `millpond status`: whether the pool is well, in one line, and the numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from millpond.cli.terminal import in_columns, width

Table = list[tuple[str, str]]


def screen(seen: Mapping[str, Any], history: Mapping[str, Any], firing: Sequence[Mapping[str, Any]]) -> str:
    """The screen as text, no wider than the terminal."""
    rows = [("pool", seen["name"]), ("state", verdict(seen, firing)), *numbers(seen), *last_minute(history)]
    rows += [("alert", f"{one['name']}: {one['annotations'].get('summary', '')}") for one in firing]
    rows += [("busy", _busy(one)) for one in seen["busy"]]
    margin = max(len(name) for name, _ in rows) + 2
    room = max(10, width() - margin)
    lines: list[str] = []
    for name, text in rows:
        pieces = in_columns(text, room)
        lines += [f"{name if not at else '':{margin}}{piece}" for at, piece in enumerate(pieces)]
    return "\n".join(lines)


def verdict(seen: Mapping[str, Any], firing: Sequence[Any]) -> str:
    """Whether it is well, and why not."""
    if not seen["is_ready"]:
        return f"NOT READY ({seen['state']})" + (f": {seen['reason']}" if seen["reason"] else "")
    if seen["state"] == "degraded":
        return f"DEGRADED: {seen['reason']}"
    return f"ready, {len(firing)} alerts fire" if firing else "ready"


def numbers(seen: Mapping[str, Any]) -> Table:
    """What is there now."""
    workers = ", ".join(f"{count} {state}" for state, count in seen["workers"].items() if count and state != "gone")
    open_breakers = [name for name, state in seen["breakers"].items() if state != "closed"]
    found = [
        ("workers", f"{workers or 'none'} (wanted {seen['wanted']}, alive {seen['alive']})"),
        ("calls", f"{seen['running']} running, {seen['queued']} queued, {seen['submitted']} since it opened"),
        ("endings", ", ".join(f"{count} {name}" for name, count in seen["endings"].items() if count) or "none"),
        ("sessions", f"{seen['sessions_open']} open, {seen['sessions_asleep']} asleep"),
    ]
    if open_breakers:
        found.append(("breakers", f"open: {', '.join(open_breakers)}"))
    return found


def last_minute(history: Mapping[str, Any]) -> Table:
    """Rates and percentiles of the last minute."""
    seconds = sum(history["seconds"]) or math.nan
    counts = {name: sum(values) for name, values in history["counters"].items()}
    ok, failed = counts.get("endings.ok", 0.0), counts.get("endings.failed", 0.0)
    if not history["seconds"]:
        return [("last minute", "nothing yet")]
    found = [("last minute", f"{ok / seconds:.1f} answers/s, {failed / seconds:.1f} failures/s")]
    for kind in ("wait", "latency"):
        tops = [value for value in history["percentiles"].get(kind, {}).get("p99", []) if value is not None]
        if tops:
            found.append((f"{kind} p99", f"{max(tops) * 1000:.1f} ms in its worst second"))
    return found


def _busy(one: Mapping[str, Any]) -> str:
    silent = f", unresponsive {one['unresponsive_s']:.0f} s" if one["unresponsive_s"] else ""
    return f"worker {one['worker']}: {one['operation']} for {one['seconds']:.1f} s{silent}"
