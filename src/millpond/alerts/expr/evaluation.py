"""Works out an expression's tree on series, at one moment.

Asks its source for series and samples, never for the time. What it gives is what Prometheus 2 gives for the same
samples: values stand for up to five minutes, and names go where values change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from millpond.alerts.expr.aggregations import aggregate
from millpond.alerts.expr.buckets import histogram_quantile
from millpond.alerts.expr.errors import EvaluationError
from millpond.alerts.expr.labels import NAME, Labels, Sample, Vector, labels_of, text_of, unnamed
from millpond.alerts.expr.matchers import Matcher
from millpond.alerts.expr.operators import combine
from millpond.alerts.expr.tree import Aggregation, Binary, Call, Negation, Node, Number, Range, Selector
from millpond.alerts.expr.windows import SPAN_FUNCTIONS, Span, Times, Values

LOOKBACK_MS = 5 * 60 * 1000


class Series(Protocol):
    """One series of a source."""

    @property
    def labels(self) -> Labels:
        """All labels, the name among them."""
        ...

    def at(self, ms: int, lookback_ms: int) -> float | None:
        """The newest value from then back to `ms - lookback_ms`, unless the series had ended by `ms`."""
        ...

    def between(self, start_ms: int, end_ms: int) -> tuple[Times, Values]:
        """The samples from start to end, both included."""
        ...


class Source(Protocol):
    """Where series come from."""

    def select(self, matchers: tuple[Matcher, ...]) -> Iterable[Series]:
        """The series that all matchers accept."""
        ...


def evaluate(node: Node, source: Source, at_ms: int) -> float | Vector:
    """The value of an expression at a moment; raises `EvaluationError` if it has none."""
    with np.errstate(all="ignore"):
        return _Evaluation(source, at_ms).value(node)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    source: Source
    at_ms: int

    def value(self, node: Node) -> float | Vector:
        match node:
            case Number(value):
                return value
            case Selector():
                return self._now(node)
            case Call():
                return self._called(node)
            case Negation(operand):
                return self._negated(self.value(operand))
            case Binary():
                return _distinct(combine(node, self.value(node.left), self.value(node.right)))
            case Aggregation():
                parameter = self.number(node.parameter) if node.parameter else math.nan
                return _distinct(aggregate(node, self.vector(node.operand), parameter))
            case Range():
                raise EvaluationError("a range has no value; use a function such as rate()")

    def number(self, node: Node) -> float:
        found = self.value(node)
        assert isinstance(found, float)  # the parser saw to it
        return found

    def vector(self, node: Node) -> Vector:
        found = self.value(node)
        assert isinstance(found, list)  # the parser saw to it
        return found

    def _now(self, selector: Selector) -> Vector:
        at = self.at_ms - selector.offset_ms
        found = ((series.labels, series.at(at, LOOKBACK_MS)) for series in self.source.select(selector.matchers))
        return [Sample(labels, value) for labels, value in found if value is not None]

    def _negated(self, value: float | Vector) -> float | Vector:
        if isinstance(value, float):
            return -value
        return _distinct([Sample(unnamed(labels), -number) for labels, number in value])

    def _called(self, node: Call) -> float | Vector:
        if node.function in SPAN_FUNCTIONS:
            return self._over_spans(node)
        if node.function == "absent":
            return [] if self.vector(node.arguments[0]) else [Sample(_named_by(node.arguments[0]), 1.0)]
        if node.function == "time":
            return self.at_ms / 1000
        function = FUNCTIONS[node.function]
        return _distinct(function(*(self.value(argument) for argument in node.arguments)))

    def _over_spans(self, node: Call) -> Vector:
        spans = next(argument for argument in node.arguments if isinstance(argument, Range))
        numbers = [self.number(argument) for argument in node.arguments if argument is not spans]
        function, keeps_name = SPAN_FUNCTIONS[node.function], node.function == "last_over_time"
        found: Vector = []
        for labels, span in self._spans(spans):
            value = function(span, *numbers)
            if value is not None:
                found.append(Sample(labels if keeps_name else unnamed(labels), value))
        return _checked(found)

    def _spans(self, node: Range) -> Iterable[tuple[Labels, Span]]:
        end = self.at_ms - node.selector.offset_ms
        start = end - node.range_ms
        for series in self.source.select(node.selector.matchers):
            times, values = series.between(start, end)
            if len(times):
                yield series.labels, Span(times, values, start, end, self.at_ms)


def _distinct(found: float | Vector) -> float | Vector:
    return _checked(found) if isinstance(found, list) else found


def _checked(vector: Vector) -> Vector:
    """The vector, if no two of its elements have the same labels."""
    if len({labels for labels, _ in vector}) < len(vector):
        seen: set[Labels] = set()
        twice = next(labels for labels, _ in vector if labels in seen or seen.add(labels))  # type: ignore[func-returns-value]
        raise EvaluationError(f"several series have the labels {text_of(twice)}")
    return vector


def _named_by(node: Node) -> Labels:
    """The labels that an absent series would have: those its selector asks for by `=` and once."""
    matchers = node.matchers if isinstance(node, Selector) else ()
    names = [matcher.name for matcher in matchers]
    return labels_of(
        (matcher.name, matcher.value)
        for matcher in matchers
        if matcher.op == "=" and matcher.name != NAME and names.count(matcher.name) == 1
    )


def _each(compute: Callable[..., float]) -> Callable[..., Vector]:
    """A function of numbers as one of vectors."""
    return lambda vector, *numbers: [Sample(unnamed(labels), compute(value, *numbers)) for labels, value in vector]


def _at_least(value: float, low: float) -> float:
    """The larger; an infinite one wins over NaN, as Go has it."""
    return math.inf if math.inf in (value, low) else float(np.maximum(value, low))


def _at_most(value: float, high: float) -> float:
    return -math.inf if -math.inf in (value, high) else float(np.minimum(value, high))


def _clamp(vector: Vector, low: float, high: float) -> Vector:
    return [] if high < low else _each(lambda value: _at_least(_at_most(value, high), low))(vector)


def _scalar(vector: Vector) -> float:
    return vector[0].value if len(vector) == 1 else math.nan


FUNCTIONS: dict[str, Callable[..., float | Vector]] = {
    "histogram_quantile": histogram_quantile,
    "abs": _each(abs),
    "ceil": _each(lambda value: float(np.ceil(value))),
    "floor": _each(lambda value: float(np.floor(value))),
    "sqrt": _each(lambda value: float(np.sqrt(value))),
    "clamp": _clamp,
    "clamp_min": _each(_at_least),
    "clamp_max": _each(_at_most),
    "scalar": _scalar,
    "vector": lambda value: [Sample((), value)],
}
