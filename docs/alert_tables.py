"""What `docs/alerts.md` is told by the source: the default rules, how to answer each, and the subset of expressions."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator

from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.expr.durations import duration_text
from millpond.alerts.expr.signatures import AGGREGATIONS, SIGNATURES
from millpond.alerts.rules import Group, Rule

NAME = re.compile(
    r"\bpool\.[\w.]+(?:\(\d*\))?|\b\w+_\w+(?:\(\))?|\b(?:QueueFull|StartFailed|PoisonCall)\b|/proc/PID/fd"
)
Rows = list[list[str]]
RULES = [(group, rule) for group in DEFAULT_GROUPS for rule in group.rules]


def rule_rows() -> Rows:
    """A row a rule; its name leads to how it is answered."""
    rows = [["rule", "severity", "for", "group", "every"]]
    for group, rule in RULES:
        link = f"[{rule.alert}](#{rule.alert.lower()})"
        rows.append([link, rule.labels["severity"], held(rule), f"`{group.name}`", duration(group.interval_s)])
    return rows


def answers() -> str:
    """A section a rule: what it says, its expression, and what to do."""
    return "\n\n".join(text for group, rule in RULES for text in section(group, rule))


def section(group: Group, rule: Rule) -> Iterator[str]:
    yield f"### {rule.alert}"
    summary = rule.annotations["summary"].replace("{{ ", "{{").replace(" }}", "}}")
    yield textwrap.indent(plain(summary), "> ")
    yield f"```promql\n{rule.expr.replace(' and ', chr(10) + '  and ')}\n```"
    keep = f" It goes on firing for {duration(rule.keep_firing_s)} after that." if rule.keep_firing_s else ""
    yield plain(rule.annotations["answer"] + keep)


def plain(text: str) -> str:
    """Templates by what they stand for, and names as code; in lines of a page's length."""
    for template, word in TEMPLATES.items():
        text = text.replace(template, word)
    return textwrap.fill(NAME.sub(r"`\g<0>`", text), 118, break_long_words=False, break_on_hyphens=False)


TEMPLATES = {
    "{{$labels.pool}}": "*pool*",
    "{{$labels.channel}}": "*channel*",
    "{{$value}}": "*n*",
    '{{$value | printf "%.0f"}}': "*n*",
    "{{$value | humanize}}": "*n*",
    "{{$value | humanize1024}}B": "*n* MiB",
    "{{$value | humanizePercentage}}": "*n* %",
    "{{$value | humanizeDuration}}": "*n* s",
}


def held(rule: Rule) -> str:
    return duration(rule.for_s) if rule.for_s else "at once"


def duration(seconds: float) -> str:
    return duration_text(round(seconds * 1000))


def function_rows() -> Rows:
    rows = [["function", "gives"]]
    for name, signature in SIGNATURES.items():
        rows.append([f"`{name}({', '.join(signature.takes)})`", signature.meaning])
    return rows


def aggregation_rows() -> Rows:
    rows = [["aggregation", "gives"]]
    for name, (takes_number, meaning) in AGGREGATIONS.items():
        rows.append([f"`{name}({'scalar, ' if takes_number else ''}vector)`", meaning])
    return rows


def tables(table: Callable[[Rows], str]) -> dict[str, tuple[str, Callable[[], str]]]:
    """Marker -> page, and what stands there; `table` makes markdown of rows."""
    return {
        "rules": ("alerts.md", lambda: table(rule_rows())),
        "answers": ("alerts.md", answers),
        "functions": ("alerts.md", lambda: table(function_rows())),
        "aggregations": ("alerts.md", lambda: table(aggregation_rows())),
    }
