"""The functions and aggregations of the subset: what they take and give, and what they mean.

The parser checks calls against this table, and `docs/alerts.md` is printed from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["scalar", "vector", "range"]


@dataclass(frozen=True, slots=True)
class Signature:
    """A row of the table of functions."""

    takes: tuple[Kind, ...]
    returns: Kind
    meaning: str


_OVER_TIME: tuple[Kind, ...] = ("range",)
_EACH: tuple[Kind, ...] = ("vector",)

SIGNATURES: dict[str, Signature] = {
    "rate": Signature(_OVER_TIME, "vector", "growth of a counter per second, extrapolated to the range's ends"),
    "increase": Signature(_OVER_TIME, "vector", "growth of a counter over the range, extrapolated to its ends"),
    "delta": Signature(_OVER_TIME, "vector", "change of a gauge over the range, extrapolated to its ends"),
    "deriv": Signature(_OVER_TIME, "vector", "slope per second of a line through a gauge's samples (least squares)"),
    "predict_linear": Signature(("range", "scalar"), "vector", "where that line will be in so many seconds"),
    "avg_over_time": Signature(_OVER_TIME, "vector", "mean of the range's samples"),
    "min_over_time": Signature(_OVER_TIME, "vector", "smallest of the range's samples"),
    "max_over_time": Signature(_OVER_TIME, "vector", "largest of the range's samples"),
    "sum_over_time": Signature(_OVER_TIME, "vector", "sum of the range's samples"),
    "count_over_time": Signature(_OVER_TIME, "vector", "number of samples in the range"),
    "stddev_over_time": Signature(_OVER_TIME, "vector", "population standard deviation of the range's samples"),
    "quantile_over_time": Signature(("scalar", "range"), "vector", "quantile of the range's samples"),
    "last_over_time": Signature(_OVER_TIME, "vector", "newest of the range's samples; keeps the metric's name"),
    "changes": Signature(_OVER_TIME, "vector", "how often the value changed within the range"),
    "resets": Signature(_OVER_TIME, "vector", "how often a counter went back within the range"),
    "histogram_quantile": Signature(("scalar", "vector"), "vector", "quantile from the buckets (`le`) of a histogram"),
    "abs": Signature(_EACH, "vector", "each value without its sign"),
    "ceil": Signature(_EACH, "vector", "each value rounded up"),
    "floor": Signature(_EACH, "vector", "each value rounded down"),
    "sqrt": Signature(_EACH, "vector", "square root of each value"),
    "clamp": Signature(
        ("vector", "scalar", "scalar"), "vector", "each value, but not below the first or above the second"
    ),
    "clamp_min": Signature(("vector", "scalar"), "vector", "each value, but not below this"),
    "clamp_max": Signature(("vector", "scalar"), "vector", "each value, but not above this"),
    "absent": Signature(_EACH, "vector", "1 if there is no such series; nothing if there is one"),
    "scalar": Signature(_EACH, "scalar", "the value of the only series; NaN if there is not exactly one"),
    "vector": Signature(("scalar",), "vector", "a series without labels and with this value"),
    "time": Signature((), "scalar", "the moment of the evaluation in Unix seconds"),
}

AGGREGATIONS: dict[str, tuple[bool, str]] = {  # name -> whether it takes a number first, and what it gives
    "sum": (False, "sum of the group"),
    "avg": (False, "mean of the group"),
    "min": (False, "smallest of the group"),
    "max": (False, "largest of the group"),
    "count": (False, "how many series are in the group"),
    "group": (False, "1 for each group"),
    "stddev": (False, "population standard deviation of the group"),
    "quantile": (True, "quantile of the group"),
    "topk": (True, "the so many largest of the group, with their own labels"),
    "bottomk": (True, "the so many smallest of the group, with their own labels"),
}
