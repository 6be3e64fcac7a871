"""Reads and writes Prometheus's rule files.

Written files are YAML that needs no library. Reading needs PyYAML (`pip install millpond[alerts]`), unless the file is
JSON. What the subset has not (recording rules, limits) and what is misspelt is refused.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from millpond.alerts.expr.durations import duration_text, parse_duration
from millpond.alerts.rules import DEFAULT_INTERVAL_S, Group, Rule, RuleError

_BEYOND_ASCII = re.compile(r"[^\x20-\x7e]")
_FILE_KEYS = ("groups",)
_GROUP_KEYS = ("name", "interval", "rules")
_RULE_KEYS = ("alert", "expr", "for", "keep_firing_for", "labels", "annotations")


def read(text: str) -> tuple[Group, ...]:
    """The groups of a rule file; raises `RuleError` for what cannot be used."""
    whole = _mapping(_loaded(text), _FILE_KEYS, "the file")
    groups = tuple(_group(group) for group in _list(whole.get("groups"), "groups"))
    names = [group.name for group in groups]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RuleError(f"there are two groups {twice!r}")
    return groups


def write(groups: Iterable[Group]) -> str:
    """A rule file with these groups, for `read` and for a Prometheus."""
    return "\n".join(["groups:", *(line for group in groups for line in _group_lines(group)), ""])


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass  # then it is YAML
    try:
        import yaml
    except ImportError:
        raise RuleError("reading YAML needs PyYAML: pip install 'millpond[alerts]' (JSON needs nothing)") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"the file is no YAML: {error}") from error


def _group(given: Any) -> Group:
    where = f"group {given.get('name')!r}" if isinstance(given, dict) else "a group"
    group = _mapping(given, _GROUP_KEYS, where)
    interval_s = _seconds(group["interval"], where) if "interval" in group else DEFAULT_INTERVAL_S
    rules = tuple(_rule(rule) for rule in _list(group.get("rules"), f"the rules of {where}"))
    return Group(str(group.get("name") or ""), rules, interval_s)


def _rule(given: Any) -> Rule:
    where = f"rule {given.get('alert')!r}" if isinstance(given, dict) else "a rule"
    if isinstance(given, dict) and "record" in given:
        raise RuleError(f"recording rule {given['record']!r}: only alert rules are evaluated here")
    rule = _mapping(given, _RULE_KEYS, where)
    return Rule(
        alert=str(rule.get("alert") or ""),
        expr=str(rule.get("expr") or ""),
        for_s=_seconds(rule.get("for", "0"), where),
        keep_firing_s=_seconds(rule.get("keep_firing_for", "0"), where),
        labels=_texts(rule.get("labels"), where),
        annotations=_texts(rule.get("annotations"), where),
    )


def _mapping(given: Any, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RuleError(f"{where} is no mapping")
    for key in given:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, 1)
            raise RuleError(f"{where}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return given


def _list(given: Any, where: str) -> list[Any]:
    if not isinstance(given, list | None):
        raise RuleError(f"{where}: a list is needed")
    return given or []


def _texts(given: Any, where: str) -> dict[str, str]:
    if not isinstance(given, dict | None) or not all(isinstance(value, str) for value in (given or {}).values()):
        raise RuleError(f"{where}: labels and annotations map names to texts")
    return {str(name): value for name, value in (given or {}).items()}


def _seconds(given: Any, where: str) -> float:
    try:
        return parse_duration(str(given)) / 1000
    except ValueError as error:
        raise RuleError(f"{where}: {error}") from None


def _group_lines(group: Group) -> Iterator[str]:
    yield f"  - name: {_quoted(group.name)}"
    yield f"    interval: {_duration(group.interval_s)}"
    yield "    rules:" if group.rules else "    rules: []"
    for rule in group.rules:
        yield f"      - alert: {_quoted(rule.alert)}"
        yield f"        expr: {_quoted(rule.expr)}"
        if rule.for_s:
            yield f"        for: {_duration(rule.for_s)}"
        if rule.keep_firing_s:
            yield f"        keep_firing_for: {_duration(rule.keep_firing_s)}"
        yield from _text_lines("labels", rule.labels)
        yield from _text_lines("annotations", rule.annotations)


def _text_lines(key: str, texts: Mapping[str, str]) -> Iterator[str]:
    if texts:
        yield f"        {key}:"
        # Names too: without quotes YAML takes `on` or `no` for a truth value.
        yield from (f"          {_quoted(name)}: {_quoted(text)}" for name, text in texts.items())


def _quoted(text: str) -> str:
    """A double-quoted text of printable ASCII; JSON would split what lies beyond 16 bits, and YAML knows no halves."""
    return _BEYOND_ASCII.sub(lambda found: _escaped(ord(found[0])), json.dumps(text, ensure_ascii=False))


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _duration(seconds: float) -> str:
    return duration_text(round(seconds * 1000))
