"""The rules every pool has, as `defaults.toml` states them; `docs/alerts.md` is printed from them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from millpond.alerts.rules import Condition, Group, Rule


def _rule(alert: str, answer: str, also: Sequence[Mapping[str, Any]] = (), **fields: Any) -> Rule:
    conditions = tuple(Condition(**one) for one in also)
    return Rule(alert, answer=" ".join(answer.split()), also=conditions, **fields)


_GROUPS = tomllib.loads(Path(__file__).with_name("defaults.toml").read_text("utf-8"))
DEFAULT_GROUPS = tuple(
    Group(group, tuple(_rule(alert, **fields) for alert, fields in rules.items())) for group, rules in _GROUPS.items()
)
