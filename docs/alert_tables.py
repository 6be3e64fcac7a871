"""What `docs/alerts.md` has from the source: the default rules, and how to answer each."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator

from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.promql import duration, expression
from millpond.alerts.rules import Rule

NAME = re.compile(
    r"\bpool\.[\w.]+(?:\(\d*\))?|\b\w+_\w+(?:\(\))?|\b(?:QueueFull|StartFailed|PoisonCall)\b|/proc/PID/fd"
)
PLACEHOLDER = re.compile(r"\{(\w+)(?::([^}]*))?\}")
UNITS = {"%": " %", "bytes": " MiB"}
Rows = list[list[str]]
RULES = [(group, rule) for group in DEFAULT_GROUPS for rule in group.rules]


def rule_rows() -> Rows:
    """A row a rule; its name leads to how it is answered."""
    rows = [["rule", "severity", "for", "group"]]
    for group, rule in RULES:
        link = f"[{rule.alert}](#{rule.alert.lower()})"
        rows.append([link, rule.severity, duration(rule.for_s) if rule.for_s else "at once", f"`{group.name}`"])
    return rows


def answers() -> str:
    """A section a rule: what it says, its expression, and what to do."""
    return "\n\n".join(text for _, rule in RULES for text in section(rule))


def section(rule: Rule) -> Iterator[str]:
    yield f"### {rule.alert}"
    yield textwrap.indent(plain(rule.summary), "> ")
    yield f"```promql\n{expression(rule).replace(' and ', chr(10) + '  and ')}\n```"
    keep = f" It goes on firing for {duration(rule.keep_firing_s)} after that." if rule.keep_firing_s else ""
    yield plain(rule.answer + keep)


def plain(text: str) -> str:
    """Placeholders by what they stand for, and names as code; in lines of a page's length."""
    text = NAME.sub(r"`\g<0>`", PLACEHOLDER.sub(_word, text))
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def _word(found: re.Match[str]) -> str:
    return f"*n*{UNITS.get(found[2], '')}" if found[1] == "value" else f"*{found[1]}*"


def tables(table: Callable[[Rows], str]) -> dict[str, tuple[str, Callable[[], str]]]:
    """Marker -> page, and what stands there; `table` makes markdown of rows."""
    return {
        "rules": ("alerts.md", lambda: table(rule_rows())),
        "answers": ("alerts.md", answers),
    }
