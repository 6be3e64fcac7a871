"""Sizing rules compared: which parameters of one differ enough from another's to matter, and in which direction."""

from __future__ import annotations

from millpond.core import SizingRule

SAME = 0.1  # share by which a number may differ and still be the same
SAME_TIMEOUT = 0.25  # learned ones wander a little
SAME_S = 0.005  # seconds by which a patience may differ
NO_WINDOW_S = 1e9  # a window of 0 has no end
SAME_TIMEOUT_S = 0.01  # where a start takes 20 ms, timeouts of a tenth of a second are long


def wanted(rule: SizingRule, needed: int) -> int:
    """Workers that the rule wants where the load needs so many."""
    return min(max(needed + rule.spares, rule.floor), rule.ceiling)


def raised(before: SizingRule, after: SizingRule) -> tuple[str, ...]:
    """The parameters by which `after` keeps or starts more workers: `floor 2 -> 4`."""
    return tuple(text for text, gain in _differences(before, after) if gain > 0)


def lowered(before: SizingRule, after: SizingRule) -> tuple[str, ...]:
    """The parameters by which it keeps or starts fewer."""
    return tuple(text for text, gain in _differences(before, after) if gain < 0)


def is_same(before: SizingRule, after: SizingRule) -> bool:
    """Whether nothing differs enough to matter."""
    return before == after or not _differences(before, after)


def _differences(before: SizingRule, after: SizingRule) -> list[tuple[str, float]]:
    """What differs, and by how much more `after` keeps: its sign is what counts."""
    found = [
        (f"{name} {old} -> {new}", float(new - old))
        for name in ("floor", "ceiling", "spares")
        if abs((new := getattr(after, name)) - (old := getattr(before, name))) > SAME * old
    ]
    old_s, new_s = before.patience_s, after.patience_s
    if _differ(old_s, new_s, SAME, SAME_S):
        found.append((f"patience_s {old_s:.3g} -> {new_s:.3g}", old_s - new_s))
    old_s, new_s = before.window_s or NO_WINDOW_S, after.window_s or NO_WINDOW_S
    if _differ(old_s, new_s, SAME_TIMEOUT, SAME_S):
        found.append((f"window_s {before.window_s:.3g} -> {after.window_s:.3g}", new_s - old_s))
    found += _drain(before.drain_s, after.drain_s)
    gains = [
        after.timeout(level) - before.timeout(level)
        for level in range(1, 1 + max(len(before.idle_timeouts), len(after.idle_timeouts)))
        if _differ(before.timeout(level), after.timeout(level), SAME_TIMEOUT, SAME_TIMEOUT_S)
    ]
    if gains:
        found.append((f"idle_timeouts {shown(before)} -> {shown(after)}", sum(gains)))
    return found


def _drain(old: float | None, new: float | None) -> list[tuple[str, float]]:
    """The longer a backlog may take the fewer workers; the time of a start is neither more nor less than others."""
    if old is None or new is None:
        is_same, less = old == new, float(old == 0.0) - float(new == 0.0)
    else:
        is_same, less = not _differ(old, new, SAME, SAME_S), new - old
    return [] if is_same else [(f"drain_s {_seconds(old)} -> {_seconds(new)}", -less)]


def _seconds(value: float | None) -> str:
    return "that of a start" if value is None else f"{value:.3g}"


def _differ(old: float, new: float, share: float, least: float) -> bool:
    return abs(new - old) > max(share * max(abs(old), abs(new)), least)


def shown(rule: SizingRule) -> str:
    """A rule's idle timeouts as people read them: the first and the last."""
    first, last = rule.idle_timeouts[0], rule.idle_timeouts[-1]
    return f"{first:.3g} s" if first == last else f"{first:.3g} to {last:.3g} s"


def change(before: SizingRule, after: SizingRule) -> str:
    """What differs between two rules: `floor 0 -> 2, spares 0 -> 1`."""
    parts = [
        f"{name} {getattr(before, name)} -> {getattr(after, name)}"
        for name in ("floor", "ceiling", "spares", "patience_s", "drain_s", "window_s")
        if getattr(before, name) != getattr(after, name)
    ]
    if before.idle_timeouts != after.idle_timeouts:
        parts.append(f"idle_timeouts {shown(before)} -> {shown(after)}")
    return ", ".join(parts) or "nothing"
