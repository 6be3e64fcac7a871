"""Silences: there are no notifications of alerts with certain labels until a moment; they are evaluated and kept.

Matchers say which labels, for silences and for routes alike.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

MOST_SILENCES = 1000
_MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label, with `=`, `!=`, `=~` or `!~`; a label that is not there is empty."""

    name: str
    op: str
    value: str

    def accepts(self, value: str) -> bool:
        """Whether a label may have this value; a pattern must match all of it."""
        is_same = value == self.value if self.op in ("=", "!=") else re.fullmatch(self.value, value) is not None
        return is_same == (self.op in ("=", "=~"))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant."""
        return self.accepts(labels.get(self.name, ""))


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers in `alertname="X", pool=~"a|b"`; raises `ValueError` for what is no such text."""
    found, at = [], 0
    while at < len(text.rstrip()):
        one = _MATCHER.match(text, at)
        try:
            if one is None:
                raise ValueError('write alertname="X", pool=~"a|b"')
            matcher = Matcher(one[1], one[2], json.loads(one[3]))
            re.compile(matcher.value if "~" in matcher.op else "")
        except (ValueError, re.error) as error:
            raise ValueError(f"{text[at:]!r} cannot be read as matchers: {error}") from None
        found.append(matcher)
        at = one.end()
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence. `until_s` is on the pool's clock; `author` and `comment` are for people."""

    id: str
    matchers: tuple[Matcher, ...]
    until_s: float
    author: str = ""
    comment: str = ""

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant."""
        return all(matcher.matches(labels) for matcher in self.matchers)


class Silences:
    """The silences of one pool."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._by_id: dict[str, Silence] = {}

    def add(self, matchers: str, now_s: float, seconds: float, author: str, comment: str) -> Silence:
        """Silence what all of `alertname="X", pool=~"a|b"` accept; raises `ValueError` for what is no such text."""
        found = parse_matchers(matchers)
        if all(matcher.accepts("") for matcher in found):
            raise ValueError(f"{matchers!r} would silence everything: ask for at least one label that is there")
        if not seconds > 0:  # nor NaN, which would be over at no time and silence nothing
            raise ValueError(f"a silence lasts longer than 0 s, not {seconds!r}")
        if len(self._by_id) >= MOST_SILENCES:
            raise ValueError(f"there are {MOST_SILENCES} silences already; lift some")
        silence = Silence(f"s{next(self._numbers)}", found, now_s + seconds, author, comment)
        self._by_id[silence.id] = silence
        return silence

    def lift(self, silence_id: str) -> bool:
        """End a silence; whether there was one of that id."""
        return self._by_id.pop(silence_id, None) is not None

    def current(self, now_s: float) -> tuple[Silence, ...]:
        """Those that are not over, in order of their making."""
        self._by_id = {silence.id: silence for silence in self._by_id.values() if silence.until_s > now_s}
        return tuple(self._by_id.values())

    def covering(self, labels: Mapping[str, str], now_s: float) -> str:
        """The id of the first that covers these labels, or nothing."""
        return next((silence.id for silence in self.current(now_s) if silence.covers(labels)), "")
