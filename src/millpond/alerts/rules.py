"""Alert rules as data: which of the pool's metrics is compared with what, for how long, and what the alert says.

A rule that is made has been checked in full, against the table of exported metrics. `measures` evaluates its
comparisons, `promql` writes it as a rule for a Prometheus; nothing is evaluated here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Any, Literal

from millpond.alerts.measures import Comparison, How, Measure
from millpond.alerts.samples import FAR_S
from millpond.metrics.catalogue import CATALOGUE, Metric
from millpond.metrics.readers import QUANTILES

PREFIX = "millpond_"
METRICS: dict[str, Metric] = {row.name.removeprefix(PREFIX): row for row in CATALOGUE}
METRICS |= {row.distribution: row for row in CATALOGUE if row.distribution}  # "latency" and the like
PERCENTILES = {name: text for text, name in QUANTILES}
# Kind of metric and what comes after its name -> suffix of its series, and how they are read; `None` as a gauge is.
READINGS: dict[tuple[str, str], tuple[str, How | None]] = {
    ("gauge", ""): ("", None),
    ("counter", ""): ("", "growth"),
    ("counter", "rate"): ("", "rate"),
    ("histogram", "count"): ("_count", "growth"),
    **{("histogram", name): ("_bucket", "quantile") for name in PERCENTILES},
    **{("summary", name): ("", None) for name in PERCENTILES},
}
HOUR_S = 3600.0
BASELINES = {"hour": (HOUR_S, 0.0), "yesterday": (HOUR_S, 23.5 * HOUR_S)}  # seconds of samples, until how long ago
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FORMAT = re.compile(r"|%|bytes|\.\d[efg]")

Where = Mapping[str, str | tuple[str, ...]]
Bound = float | str


class RuleError(ValueError):
    """A rule that cannot be used; the message names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One comparison of a metric. Raises `RuleError`.

    `of`: a metric of `docs/exporting.md`, with or without `millpond_`. A gauge is its newest value, or its mean over
    `over_s` seconds. A counter is its growth over `over_s`, with `.rate` its growth a second. A histogram is a quantile
    of the last `over_s`, as in `latency.p99`, or with `.count` the number of its observations. A summary is one of its
    quantiles. `where`: label -> value or values; other series are left out. `ago_s`: as it was so long ago.
    `per`: divided by this metric, read in the same way.

    One of these says when it holds:

    - `above`, `below`: a number, or the name of a gauge. With `against`, a number of times what it is over the
      trailing `hour`, or over the hour around this time `yesterday`.
    - `rising`: a gauge grew within `over_s` by more than this share of what it was, and by more than `above` if given.
    - `reaches`: a line through the gauge's last `over_s` is above this number or gauge in `within_s` seconds.
    - `absent`: there is no such series.
    """

    of: str
    where: Where = field(default_factory=dict)
    over_s: float = 0.0
    ago_s: float = 0.0
    per: str = ""
    above: Bound | None = None
    below: Bound | None = None
    against: Literal["", "hour", "yesterday"] = ""
    rising: float | None = None
    reaches: Bound | None = None
    within_s: float = 0.0
    absent: bool = False
    comparison: Comparison = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "comparison", self._checked())
        except ValueError as error:
            raise RuleError(f"condition of {self.of!r}: {error}") from error

    def _checked(self) -> Comparison:
        given = [self.rising is not None, self.reaches is not None, self.absent, self.below is not None]
        if sum(given) + (self.above is not None and self.rising is None) != 1:
            raise ValueError("give one of above, below, rising (above may go with it), reaches and absent")
        if self.over_s + self.ago_s > FAR_S - HOUR_S or min(self.over_s, self.ago_s, self.within_s) < 0:
            raise ValueError(f"it looks back from 0 to {FAR_S - HOUR_S:g} s")
        if self.against and (self.against not in BASELINES or isinstance(self._bound, str | None) or self.ago_s):
            raise ValueError("now, above or below a number of times what it was: against 'hour' or 'yesterday'")
        if (self.reaches is None) != (self.within_s == 0.0):
            raise ValueError("reaches goes with within_s")
        return self._comparison()

    @property
    def _bound(self) -> Bound | None:
        return self.below if self.below is not None else self.above

    def _comparison(self) -> Comparison:
        if self.absent:  # of a counter too: whether there is one takes no seconds
            return Comparison(replace(measure(self.of, self.where, 1.0), how="last", over_s=0.0), "absent")
        left = self._measure(self.of, self.where)
        if self.rising is not None or self.reaches is not None:
            return self._trend(left)
        op: Literal[">", "<"] = "<" if self.below is not None else ">"
        if not self.per:
            return self._bounded(left, op, self._bound)
        left, per = _as_rate(left), _as_rate(self._measure(self.per, {}))
        if left.how != per.how:
            raise ValueError(f"{self.of!r} and {self.per!r} are not read in the same way")
        return replace(self._bounded(left, op, self._bound, per), per=per)

    def _trend(self, left: Measure) -> Comparison:
        if left.how != "mean" or self.per or self.ago_s:
            raise ValueError("what rises or reaches is a gauge over some seconds until now, without per")
        if self.reaches is not None:
            return self._bounded(replace(left, how="predicted", ahead_s=self.within_s), ">", self.reaches)
        before = replace(left, how="last", over_s=0.0, ago_s=self.over_s)
        floor = None if self.above is None else float(self.above)
        return Comparison(replace(left, how="change"), ">", self.rising or 0.0, before, floor=floor)

    def _bounded(self, left: Measure, op: Literal[">", "<"], bound: Any, per: Measure | None = None) -> Comparison:
        if isinstance(bound, str):
            right = measure(bound, {})
            if right.how != "last":
                raise ValueError(f"a bound is a number or a gauge, and {bound!r} is none")
            return Comparison(left, op, right=right)
        if not self.against:
            return Comparison(left, op, float(bound))
        if left.how in ("last", "growth"):
            raise ValueError("against what was: a gauge over some seconds, a rate or a quantile")
        over_s, ago_s = BASELINES[self.against]
        before = replace(left, over_s=over_s, ago_s=ago_s)
        right_per = None if per is None else replace(per, over_s=over_s, ago_s=ago_s)
        return Comparison(left, op, float(bound), before, right_per=right_per)

    def _measure(self, of: str, where: Where) -> Measure:
        return measure(of, where, self.over_s, self.ago_s)


def _as_rate(one: Measure) -> Measure:
    """Growth as growth a second: of the share of one in another that is all the same, and PromQL has a word for it."""
    return replace(one, how="rate") if one.how == "growth" else one


def measure(of: str, where: Where, over_s: float = 0.0, ago_s: float = 0.0) -> Measure:
    """The figure that a name such as `latency.p99` means; raises `ValueError` for what is none."""
    row, part = _metric(of)
    if (row.kind, part) not in READINGS:
        parts = ", ".join(f".{one}" if one else "nothing" for kind, one in READINGS if kind == row.kind)
        raise ValueError(f"what comes after the name of a {row.kind}: {parts}")
    suffix, how = READINGS[row.kind, part]
    asked = {label: (text,) if isinstance(text, str) else tuple(text) for label, text in where.items()}
    if strange := sorted(asked.keys() - set(row.labels)):
        raise ValueError(f"{row.name} has no label {strange[0]!r}, only: {', '.join(row.labels) or 'none'}")
    labels, percentile = row.labels, PERCENTILES.get(part, "0")
    if row.kind == "summary":
        labels, asked["quantile"] = (*labels, "quantile"), (percentile,)
    if how and not over_s:
        raise ValueError(f"a {row.kind} is read over some seconds: give over_s")
    kind: How = how or ("mean" if over_s else "last")
    return Measure(row.name + suffix, labels, kind, asked, over_s, ago_s, q=float(percentile))


def _metric(of: str) -> tuple[Metric, str]:
    """The metric of a name, and what comes after its point."""
    name, _, part = of.removeprefix(PREFIX).partition(".")
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, 1)
        raise ValueError(f"there is no metric {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return METRICS[name], part


@dataclass(frozen=True, kw_only=True)
class Rule(Condition):
    """One alert rule: a condition, those in `also` that must hold at the same time, and what the alert says.

    `by`: labels whose values have alerts of their own; series with other labels are added up. `for_s`: seconds
    it must hold before the alert fires. `keep_firing_s`: seconds it goes on firing after it held last.
    `summary` and `answer` (what happened, what to do) and `annotations` may name `{value}`, `{pool}` and the labels of
    `by`; the value also as `{value:%}`, `{value:bytes}` or `{value:.2f}`. Raises `RuleError`.
    """

    alert: str = field(kw_only=False)
    by: str | tuple[str, ...] = ()
    also: tuple[Condition, ...] = ()
    for_s: float = 0.0
    keep_firing_s: float = 0.0
    severity: str = "warning"
    summary: str = ""
    answer: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
            self._check()
        except ValueError as error:
            raise RuleError(f"rule {self.alert!r}: {error}") from error

    def _check(self) -> None:
        if not self.alert or self.for_s < 0 or self.keep_firing_s < 0:
            raise ValueError("it needs a name, and durations of 0 or more")
        if any(one.absent for one in (self, *self.also)) and (self.also or self.by):
            raise ValueError("absent stands alone")
        for comparison in self.comparisons:
            self._check_labels(comparison, self.by_of(comparison))
        for name in (*self.labels, *self.texts):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a label or an annotation")
        for text in self.texts.values():
            _check_text(text)

    def _check_labels(self, comparison: Comparison, by: tuple[str, ...]) -> None:
        for one in comparison.measures:
            needed = self.by_labels if comparison is self.comparison else by
            if missing := [label for label in needed if label not in one.labels]:
                raise ValueError(f"{one.name} has no label {missing[0]!r}, only: {', '.join(one.labels) or 'none'}")
            added = [label for label in one.left_out(by) if len(one.where.get(label, ())) != 1]
            if added and "quantile" in one.labels:
                raise ValueError(f"quantiles cannot be added up: give by={added[0]!r}, or one in where")

    @property
    def by_labels(self) -> tuple[str, ...]:
        """The labels in `by`."""
        return (self.by,) if isinstance(self.by, str) else self.by

    def by_of(self, comparison: Comparison) -> tuple[str, ...]:
        """Of these, those that a comparison's metric has."""
        return tuple(label for label in self.by_labels if label in comparison.left.labels)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All that must hold at once; the first has the alert's value."""
        return (self.comparison, *(condition.comparison for condition in self.also))

    @property
    def own_labels(self) -> dict[str, str]:
        """The labels every alert of this rule has."""
        return ({"severity": self.severity} if self.severity else {}) | dict(self.labels)

    @property
    def texts(self) -> dict[str, str]:
        """All annotations, with their placeholders."""
        given = {"summary": self.summary, "answer": self.answer} | dict(self.annotations)
        return {name: text for name, text in given.items() if text}


def _check_text(text: str) -> None:
    for _, name, spec, conversion in Formatter().parse(text):
        is_value = name == "value" and _FORMAT.fullmatch(spec or "")
        if name is not None and (conversion or not (is_value or (_NAME.fullmatch(name) and not spec))):
            raise ValueError(f"{text!r} may hold {{label}}, {{value}}, {{value:%}}, {{value:bytes}} and {{value:.2f}}")


@dataclass(frozen=True)
class Group:
    """Rules that are added and removed together."""

    name: str
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise RuleError("a group of rules needs a name")
