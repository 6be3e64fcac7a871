"""Operators between numbers and between vectors: who is whose partner, what remains, and with which labels."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np

from millpond.alerts.expr.errors import EvaluationError
from millpond.alerts.expr.labels import Labels, Sample, Vector, only, text_of, unnamed, without
from millpond.alerts.expr.tree import COMPARISONS, Binary, Matching


def divide(a: float, b: float) -> float:
    """A quotient as floats have it: by zero it is infinite, or NaN for 0 / 0."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


def remainder(a: float, b: float) -> float:
    """What is left of `a`, with its sign; NaN if `b` is 0 or `a` infinite."""
    return math.nan if b == 0 or math.isinf(a) else math.fmod(a, b)


def power(a: float, b: float) -> float:
    """`a` to the power of `b`; NaN or infinite where that is no number."""
    with np.errstate(all="ignore"):
        return float(np.float64(a) ** np.float64(b))


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": remainder,
    "^": power,
}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def combine(node: Binary, left: float | Vector, right: float | Vector) -> float | Vector:
    """What an operator makes of its two sides."""
    if isinstance(left, list) and isinstance(right, list):
        if node.op in COMPARISONS or node.op in ARITHMETIC:
            return _paired(node, left, right)
        return SETS[node.op](left, right, node.matching)
    if isinstance(left, list):
        return _with_number(node, left, lambda value: (value, float(right)))  # type: ignore[arg-type]
    if isinstance(right, list):
        return _with_number(node, right, lambda value: (float(left), value))
    return float(COMPARE[node.op](left, right)) if node.op in COMPARISONS else ARITHMETIC[node.op](left, right)


def _with_number(node: Binary, vector: Vector, sides: Callable[[float], tuple[float, float]]) -> Vector:
    """Each element with the number; a comparison without `bool` lets the element through as it is."""
    if node.op not in COMPARISONS:
        compute = ARITHMETIC[node.op]
        return [Sample(unnamed(labels), compute(*sides(value))) for labels, value in vector]
    compare = COMPARE[node.op]
    if node.as_bool:
        return [Sample(unnamed(labels), float(compare(*sides(value)))) for labels, value in vector]
    return [sample for sample in vector if compare(*sides(sample.value))]


def signature(labels: Labels, matching: Matching) -> Labels:
    """The labels by which partners know each other."""
    return only(labels, matching.labels) if matching.on else without(labels, matching.labels)


def _paired(node: Binary, left: Vector, right: Vector) -> Vector:
    """Each element of the left with its one partner on the right; those without one are left out."""
    if not left:
        return []  # even if the right were ambiguous
    partners = _partners(right, node.matching)
    seen: set[Labels] = set()
    found: Vector = []
    for labels, value in left:
        key = signature(labels, node.matching)
        if key not in partners:
            continue
        result = _result(node, value, partners[key])
        if result is None:
            continue
        if key in seen:
            raise EvaluationError(f"several series on the left of {node.op!r} match {text_of(key)} on the right")
        seen.add(key)
        found.append(Sample(_result_labels(labels, node), result))
    return found


def _partners(right: Vector, matching: Matching) -> dict[Labels, float]:
    partners: dict[Labels, float] = {}
    for labels, value in right:
        key = signature(labels, matching)
        if key in partners:
            raise EvaluationError(f"several series on the right have the labels {text_of(key)}")
        partners[key] = value
    return partners


def _result(node: Binary, left: float, right: float) -> float | None:
    """The value of a pair, or `None` if a comparison lets it go."""
    if node.op not in COMPARISONS:
        return ARITHMETIC[node.op](left, right)
    holds = COMPARE[node.op](left, right)
    return float(holds) if node.as_bool else left if holds else None


def _result_labels(labels: Labels, node: Binary) -> Labels:
    if node.op not in COMPARISONS or node.as_bool:
        labels = unnamed(labels)
    matching = node.matching
    if matching.on:
        return only(labels, matching.labels)
    return tuple(pair for pair in labels if pair[0] not in matching.labels)


def _and(left: Vector, right: Vector, matching: Matching) -> Vector:
    there = {signature(labels, matching) for labels, _ in right}
    return [sample for sample in left if signature(sample.labels, matching) in there]


def _unless(left: Vector, right: Vector, matching: Matching) -> Vector:
    there = {signature(labels, matching) for labels, _ in right}
    return [sample for sample in left if signature(sample.labels, matching) not in there]


def _or(left: Vector, right: Vector, matching: Matching) -> Vector:
    return left + _unless(right, left, matching)


SETS = {"and": _and, "or": _or, "unless": _unless}
