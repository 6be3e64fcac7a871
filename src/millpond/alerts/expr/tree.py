"""The tree of an expression. Each node knows its kind: a scalar, a vector (series at a moment) or a range of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from millpond.alerts.expr.matchers import Matcher
from millpond.alerts.expr.signatures import SIGNATURES, Kind

COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
SET_OPERATORS = ("and", "or", "unless")


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float

    @property
    def kind(self) -> Kind:
        return "scalar"


@dataclass(frozen=True, slots=True)
class Selector:
    """Series at a moment, `offset_ms` ago."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0

    @property
    def kind(self) -> Kind:
        return "vector"


@dataclass(frozen=True, slots=True)
class Range:
    """Series over the `range_ms` that end at a moment."""

    selector: Selector
    range_ms: int

    @property
    def kind(self) -> Kind:
        return "range"


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def kind(self) -> Kind:
        return SIGNATURES[self.function].returns


@dataclass(frozen=True, slots=True)
class Negation:
    """Minus something."""

    operand: Node

    @property
    def kind(self) -> Kind:
        return self.operand.kind


@dataclass(frozen=True, slots=True)
class Matching:
    """Which labels make two series partners: these (`on`), or all others."""

    on: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two expressions; `as_bool` makes 0 and 1 of a comparison."""

    op: str
    left: Node
    right: Node
    as_bool: bool = False
    matching: Matching = Matching()

    @property
    def kind(self) -> Kind:
        return "scalar" if self.left.kind == self.right.kind == "scalar" else "vector"


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Many series made few: `by` keeps these labels, `without` all others."""

    op: str
    operand: Node
    parameter: Node | None = None
    mode: Literal["by", "without"] = "by"
    labels: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return "vector"


Node = Number | Selector | Range | Call | Negation | Binary | Aggregation


def selectors(node: Node) -> Iterator[tuple[Selector, int]]:
    """Every selector of an expression, and how many milliseconds back it looks without the lookback."""
    match node:
        case Selector():
            yield node, node.offset_ms
        case Range(selector, range_ms):
            yield selector, selector.offset_ms + range_ms
        case Call(_, arguments):
            for argument in arguments:
                yield from selectors(argument)
        case Negation(operand) | Aggregation(_, operand):
            yield from selectors(operand)
        case Binary(_, left, right):
            yield from selectors(left)
            yield from selectors(right)
        case Number():
            pass
