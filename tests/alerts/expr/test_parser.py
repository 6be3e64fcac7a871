"""What an expression may say, how tightly its operators bind, and how a mistake is told."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.expr.durations import duration_text, parse_duration
from millpond.alerts.expr.errors import ExpressionError
from millpond.alerts.expr.matchers import Matcher
from millpond.alerts.expr.parser import DEEPEST, LONGEST, parse
from millpond.alerts.expr.signatures import AGGREGATIONS, SIGNATURES
from millpond.alerts.expr.tree import Binary, Negation, Number, Range, Selector, selectors
from tests.alerts import wild

X = Selector((Matcher("__name__", "=", "x"),))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 + 2 * 3", Binary("+", Number(1), Binary("*", Number(2), Number(3)))),
        ("1 - 2 - 3", Binary("-", Binary("-", Number(1), Number(2)), Number(3))),
        ("2 ^ 3 ^ 4", Binary("^", Number(2), Binary("^", Number(3), Number(4)))),
        ("-x ^ 2", Negation(Binary("^", X, Number(2)))),
        ("x or x and x", Binary("or", X, Binary("and", X, X))),
        ("x > 1 + 1", Binary(">", X, Binary("+", Number(1), Number(1)))),
    ],
)
def test_operators_bind_as_in_prometheus(text, tree):
    """Power before product before sum before comparison before and before or; power from the right."""
    assert parse(text) == tree


def test_a_selector_keeps_its_range_and_offset():
    """Milliseconds, and the range around the selector."""
    node = parse('x{a=~"b|c"}[1h30m] offset 5m')
    assert isinstance(node, Range)
    assert (node.range_ms, node.selector.offset_ms) == (5_400_000, 300_000)
    assert [reach for _, reach in selectors(node)] == [5_700_000]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x[5m:1m]", "subqueries"),
        ("x @ 5", "@"),
        ("(x)[5m]", "selector only"),
        ("x * on (a) group_left x", "group_left"),
        ("label_replace(x)", "label_replace() is not in the subset"),
        ("count_values(x)", "count_values"),
        ("rate(x)", "argument 1 of rate() is a vector, not a range"),
        ("1 < 2", "bool"),
        ("x{a=1}", "quotes"),
        ("x{a=~'('}", "cannot be read"),
        ("x{a=~'a(?!b)'}", "not known to Prometheus"),
        ("x{a='\\q'}", "write two"),
        ("x{a=''}[5m] + 1", "range"),
        ("{a=''}", "empty label"),
        ("x y", "unexpected 'y'"),
        ("sum(", "unexpected 'end'"),
        ("x # y", None),
    ],
)
def test_what_is_not_in_the_subset_is_refused_by_name(text, word):
    """The message says what it is and where, so that nobody has to guess."""
    if word is None:
        assert parse(text) == X
        return
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert word in str(raised.value)
    assert "at character" in str(raised.value)


def test_depth_and_length_are_bounded():
    """Whoever walks a tree does not run out of stack."""
    parse("(" * (DEEPEST - 1) + "x" + ")" * (DEEPEST - 1))
    parse("x" + " + x" * LONGEST)
    for text in ("(" * 5000 + "x", "-" * 5000 + "x", "x" + " + x" * 5000):
        with pytest.raises(ExpressionError):
            parse(text)


@given(st.text(alphabet="x1m5[](){}=~\"'`\\,+-*/^<>! offsetbyrate#@é\n", max_size=40))
def test_any_text_is_read_or_refused(text):
    """No text makes the parser fail in any other way."""
    position = 0
    try:
        parse(text)
    except ExpressionError as error:
        position = error.position
    assert 0 <= position <= len(text)


@given(wild.vectors)
def test_space_and_comments_mean_nothing(text):
    """An expression on many lines is the same expression."""
    try:
        expected = repr(parse(text))
    except ExpressionError:
        return
    assert repr(parse(f" # first\n{text.replace(' ', chr(10) + ' ')}# last")) == expected  # NaN equals nothing


@given(st.integers(0, 10**12))
def test_a_duration_survives_being_written(ms):
    """What is written is read back to the millisecond."""
    assert parse_duration(duration_text(ms)) == ms


@pytest.mark.parametrize("text", ["", "5", "m", "5m1h", "1.5h", "-5m", "5 m", "5M"])
def test_what_is_no_duration_is_refused(text):
    """The larger unit comes first, every number has one, and there are no fractions."""
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


def test_functions_and_aggregations_do_not_share_names():
    """One word has one meaning."""
    assert not SIGNATURES.keys() & AGGREGATIONS.keys()
