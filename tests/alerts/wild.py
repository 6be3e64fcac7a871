"""Random expressions over the series of a stocked shelf, as text."""

from __future__ import annotations

import hypothesis.strategies as st

MATCHERS = st.sampled_from(
    ["", '{pool="a"}', '{pool!="a"}', '{pool=~"a|b"}', '{pool!~"b.*"}', '{ending="ok"}', '{ending=~".+"}', '{zone=""}']
)
NAMES = st.sampled_from(["calls_total", "queued", "workers", "odd", "gappy", "brief", "wait_bucket", "nothing"])
OFFSETS = st.sampled_from(["", "", "", " offset 2m", " offset 7m30s", " offset -1m"])
RANGES = st.sampled_from(["[1m]", "[75s]", "[5m]", "[20m]", "[37s]", "[1h]"])
NUMBERS = st.sampled_from(["0", "1", "2.5", "-3", "1e3", "0x10", ".5", "Inf", "NaN", "-1^2", "7 % 4", "time()"])
QUANTILES = st.sampled_from(["0.5", "0.95", "0", "1", "-1", "2", "0.3"])
_SPANS = (
    "rate increase delta deriv changes resets last_over_time avg_over_time min_over_time max_over_time sum_over_time"
)
OVER_TIME = st.sampled_from([*_SPANS.split(), "count_over_time", "stddev_over_time"])
GROUPINGS = st.sampled_from(["", "by (pool)", "by (ending, pool)", "without (pool)", "without (le, ending)", "by ()"])
AGGREGATES = st.sampled_from(["sum", "avg", "min", "max", "count", "group", "stddev"])
ARITHMETIC = st.sampled_from(["+", "-", "*", "/", "%", "^"])
COMPARISONS = st.sampled_from(["==", "!=", "<", ">", "<=", ">="])
MATCHING = st.sampled_from(["", "", "on (pool)", "ignoring (ending)", "ignoring (state, le)", "on ()"])

selectors = st.builds("{}{}{}".format, NAMES, MATCHERS, OFFSETS)
spans = st.builds("{}{}{}{}".format, NAMES, MATCHERS, RANGES, OFFSETS)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Vectors made of vectors."""
    closed = inner.map("({})".format)
    either = st.one_of(inner, closed)
    return st.one_of(
        st.builds("{} {} ({})".format, AGGREGATES, GROUPINGS, inner),
        st.builds("quantile ({}, {}) {}".format, QUANTILES, inner, GROUPINGS),
        st.builds("{} {} {} {}".format, either, ARITHMETIC, MATCHING, either),
        st.builds("{} {} {} {} {}".format, either, COMPARISONS, st.sampled_from(["", "bool"]), MATCHING, either),
        st.builds("{} {} {} {}".format, either, st.sampled_from(["and", "or", "unless"]), MATCHING, either),
        st.builds("{} {} {}".format, either, ARITHMETIC, NUMBERS),
        st.builds("{} {} {}".format, NUMBERS, ARITHMETIC, either),
        st.builds("{} {} {} {}".format, either, COMPARISONS, st.sampled_from(["", "bool"]), NUMBERS),
        st.builds("{} {} {}".format, NUMBERS, COMPARISONS, either),
        st.builds("{}({})".format, st.sampled_from(["abs", "ceil", "floor", "sqrt", "absent", "-", "+"]), inner),
        st.builds("clamp({}, {}, {})".format, inner, NUMBERS, NUMBERS),
        st.builds("{}({}, {})".format, st.sampled_from(["clamp_min", "clamp_max"]), inner, NUMBERS),
        st.builds("vector(scalar({}))".format, inner),
        st.builds("histogram_quantile({}, {})".format, QUANTILES, inner),
    )


vectors = st.recursive(
    st.one_of(
        selectors,
        st.builds("{}({})".format, OVER_TIME, spans),
        st.builds("quantile_over_time({}, {})".format, QUANTILES, spans),
        st.builds("predict_linear({}, {})".format, spans, st.sampled_from(["60", "-600", "3600"])),
        st.builds("histogram_quantile({}, rate(wait_bucket{}))".format, QUANTILES, RANGES),
        st.builds("histogram_quantile({}, sum by (le) (rate(wait_bucket{})))".format, QUANTILES, RANGES),
    ),
    deeper,
    max_leaves=5,
)
