"""Writes rules as a Prometheus reads them: conditions as PromQL, texts as its templates, groups as a rule file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from millpond.alerts.measures import Comparison, Measure
from millpond.alerts.rules import Group, Rule

INTERVAL_S = 15.0  # between two evaluations in a Prometheus
_NOT_PLAIN = re.compile(r"[^\n\x20-\x7e]")
_VALUES = {"": 'printf "%.6g"', "%": "humanizePercentage", "bytes": "humanize1024"}


def rule_file(groups: Iterable[Group]) -> str:
    """A rule file with these groups."""
    made = [
        {"name": group.name, "interval": duration(INTERVAL_S), "rules": [_rule(rule) for rule in group.rules]}
        for group in groups
    ]
    return as_yaml({"groups": made})


def as_yaml(value: Any) -> str:
    """YAML in the form of JSON, in plain ASCII.

    JSON would write what lies beyond 16 bits as two halves, which YAML does not know.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _NOT_PLAIN.sub(lambda found: f"\\U{ord(found[0]):08x}", text) + "\n"


def expression(rule: Rule) -> str:
    """What must hold, as one expression."""
    first, *others = rule.comparisons
    text = _comparison(first, rule.by_labels)
    for other in others:
        names = rule.by_of(other)
        missing = ", ".join(label for label in rule.by_labels if label not in names)
        text += f" and {f'ignoring ({missing}) ' if missing else ''}{_comparison(other, names)}"
    return text


def duration(seconds: float) -> str:
    """In the largest unit that goes into it."""
    ms = round(seconds * 1000)
    unit, size = next((unit, size) for unit, size in _UNITS_MS.items() if ms % size == 0)
    return f"{ms // size}{unit}"


_UNITS_MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def template(text: str) -> str:
    """A text with its placeholders as actions of Prometheus's templates."""
    return "".join(
        _plain(literal) + ("" if name is None else _action(name, spec or ""))
        for literal, name, spec, _ in Formatter().parse(text)
    )


def _action(name: str, spec: str) -> str:
    if name != "value":
        return f"{{{{ $labels.{name} }}}}"
    written = _VALUES.get(spec, f'printf "%{spec}"')
    return f"{{{{ $value | {written} }}}}" + ("B" if spec == "bytes" else "")


def _plain(text: str) -> str:
    """A text without placeholders, whose braces begin no action."""
    return text.replace("{", '{{ "{" }}')


def _rule(rule: Rule) -> dict[str, Any]:
    made = {
        "alert": rule.alert,
        "expr": expression(rule),
        "for": duration(rule.for_s) if rule.for_s else "",
        "keep_firing_for": duration(rule.keep_firing_s) if rule.keep_firing_s else "",
        "labels": {name: _plain(text) for name, text in rule.own_labels.items()},
        "annotations": {name: template(text) for name, text in rule.texts.items()},
    }
    return {key: value for key, value in made.items() if value}


def _comparison(one: Comparison, by: tuple[str, ...]) -> str:
    if one.op == "absent":
        return f"absent({_measure(one.left, one.left.labels)})"
    left = _ratio(one.left, one.per, by)
    if one.right is None:
        return f"{left} {one.op} {_number(one.factor)}"
    right = _ratio(one.right, one.right_per, by)
    right = right if one.factor == 1 else f"{_number(one.factor)} * {right}"
    return f"{left} {one.op} " + (right if one.floor is None else f"clamp_min({right}, {_number(one.floor)})")


def _ratio(one: Measure, other: Measure | None, by: tuple[str, ...]) -> str:
    return _measure(one, by) if other is None else f"{_measure(one, by)} / {_measure(other, by)}"


def _measure(one: Measure, by: tuple[str, ...]) -> str:
    series, ago = f"{one.name}{_selector(one.where)}", f" offset {duration(one.ago_s)}" if one.ago_s else ""
    now, window = f"{series}{ago}", f"{series}[{duration(one.over_s)}]{ago}"
    left_out = one.left_out(by)
    match one.how:
        case "last":
            text = now
        case "mean":
            text = f"avg_over_time({window})"
        case "growth":  # not increase(), which stretches what it has to the whole range: two deaths were four
            text = f"{now} - min_over_time({window})"
        case "rate":
            text = f"rate({window})"
        case "change":
            text = f"{now} - {series} offset {duration(one.over_s)}"
        case "predicted":
            text = f"predict_linear({window}, {_number(one.ahead_s)})"
        case "quantile":
            inner = f"rate({window})"
            inner = f"sum without ({', '.join(left_out)}) ({inner})" if left_out else inner
            return f"histogram_quantile({one.q:g}, {inner})"
    return f"sum without ({', '.join(left_out)}) ({text})" if left_out else text


def _selector(where: Mapping[str, tuple[str, ...]]) -> str:
    texts = [
        f"{label}={_quoted(values[0])}" if len(values) == 1 else f"{label}=~{_quoted('|'.join(map(re.escape, values)))}"
        for label, values in where.items()
    ]
    return f"{{{', '.join(texts)}}}" if texts else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    return f"{value:.15g}"
