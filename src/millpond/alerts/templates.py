"""Texts with `{{ $labels.name }}` and `{{ $value }}` in them, as rules' labels and annotations have them.

A subset of Prometheus's templates: these two, `humanize`, `humanize1024`, `humanizeDuration`, `humanizePercentage` and
`printf` with one figure, as a call or behind a pipe. What it does not know is refused when the rule is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from millpond.alerts.figures import VERB, humanize, humanize1024, humanize_duration, humanize_percentage, plain, printf

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_WORD = re.compile(r"""\s*(?:(?P<pipe>\|)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[^\s|"]+))""")
_LABEL = re.compile(r"\$labels\.([a-zA-Z_][a-zA-Z0-9_]*)")

Value = float | str
Stage = Callable[[Value], Value]
FUNCTIONS: dict[str, Callable[[float], str]] = {
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
}


@dataclass(frozen=True, slots=True)
class _Action:
    """What stands in one pair of braces: a label or the value (`None`), and what is done with it."""

    label: str | None
    stages: tuple[Stage, ...]

    def fill(self, labels: Mapping[str, str], value: float) -> str:
        found: Value = value if self.label is None else labels.get(self.label, "")
        for stage in self.stages:
            found = stage(found)
        return found if isinstance(found, str) else plain(found)


class Template:
    """A text that is filled in for each alert. Raises `ValueError` for one that cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = _ACTION.split(text)  # plain, action, plain, action, ..., plain
        if any("{{" in piece or "}}" in piece for piece in pieces[::2]):
            raise ValueError(f"unpaired braces in {text!r}")
        self._pieces = [piece if i % 2 == 0 else _action(piece) for i, piece in enumerate(pieces)]

    def fill(self, labels: Mapping[str, str], value: float) -> str:
        """The text for an alert; where a figure cannot be made of a label, it says so instead of failing."""
        try:
            return "".join(p if isinstance(p, str) else p.fill(labels, value) for p in self._pieces)
        except ValueError as error:
            return f"<error expanding template: {error}>"


def _action(text: str) -> _Action:
    stages = _stages(text)
    first = stages.pop(0)
    if len(first) > 1:  # a call: its argument comes last
        stages.insert(0, first[:-1])
        first = first[-1:]
    if not first:
        raise ValueError(f"nothing stands in {{{{{text}}}}}")
    label = _LABEL.fullmatch(first[0])
    if label is None and first[0] != "$value":
        raise ValueError(f"{first[0]!r} in {{{{{text}}}}} is not known: there are $value and $labels.name")
    return _Action(label[1] if label else None, tuple(_stage(words, text) for words in stages))


def _stages(text: str) -> list[list[str]]:
    """The words between the pipes."""
    stages: list[list[str]] = [[]]
    position = 0
    while found := _WORD.match(text, position):
        if found["pipe"]:
            stages.append([])
        else:
            stages[-1].append(found["text"] or found["word"])
        position = found.end()
    if text[position:].strip():
        raise ValueError(f"unreadable: {{{{{text}}}}}")
    return stages


def _stage(words: list[str], text: str) -> Stage:
    match words:
        case [name] if name in FUNCTIONS:
            return lambda value: FUNCTIONS[name](float(value))
        case ["printf", layout] if layout[0] == '"' and _has_one_verb(layout[1:-1]):
            return lambda value: printf(layout[1:-1], value)
    raise ValueError(f"{' '.join(words) or 'nothing'!r} in {{{{{text}}}}} is not in the subset of templates")


def _has_one_verb(layout: str) -> bool:
    verbs = [found for found in VERB.findall(layout) if any(found)]
    return len(verbs) == 1 and "%" not in VERB.sub("", layout) and "\\" not in layout
