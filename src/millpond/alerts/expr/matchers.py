"""Label matchers: `=`, `!=`, `=~` and `!~`, for selectors and silences alike."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

# What Python's expressions have and Prometheus's (RE2) have not: a rule with these would not run there.
_NOT_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:[=!>#(]|<[=!]|P=)|\\[1-9Z]|[*+?}]\+)")


@dataclass(frozen=True)
class Matcher:
    """A condition on one label; a label that is not there is empty."""

    name: str
    op: str
    value: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return pattern(self.value)

    def accepts(self, value: str) -> bool:
        """Whether a label may have this value."""
        if self.op in ("=", "!="):
            return (value == self.value) == (self.op == "=")
        return (self._pattern.fullmatch(value) is not None) == (self.op == "=~")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series or an alert with these labels is meant."""
        return self.accepts(labels.get(self.name, ""))

    def __str__(self) -> str:
        return f"{self.name}{self.op}{json.dumps(self.value, ensure_ascii=False)}"


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression that means the same in Python and in Prometheus; raises `ValueError` for others."""
    if found := _NOT_RE2.search(text):
        raise ValueError(f"{found[0]!r} in the pattern {text!r} is not known to Prometheus")
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise ValueError(f"the pattern {text!r} cannot be read: {error}") from None
