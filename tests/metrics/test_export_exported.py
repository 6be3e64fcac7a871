"""Counters by operation, while operations take each other's places among those that are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics.exported import REMEMBERED, Exported, Tally
from millpond.metrics.snapshot import OTHER, Snapshot
from tests.metrics.export_snapshots import operation, snapshot

STEP = st.tuples(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50)), st.sets(st.sampled_from("abcdef"), max_size=3)
)


def counted(counts: Counter[str], named: set[str]) -> dict[str, float]:
    """What a snapshot says that tells `named` apart: their counts, and all the others' together."""
    told: dict[str, float] = {name: float(counts[name]) for name in sorted(named)}
    return {**told, OTHER: float(sum(counts.values()) - sum(told.values()))}


def calls(exported: Exported) -> dict[str, float]:
    """Calls that ended well, by operation, as they are exported."""
    family = next(one for one in exported() if one.name == "millpond_operation_calls_total")
    samples = [(dict(labels), value) for _, labels, value in family.samples]
    return {labels["operation"]: value for labels, value in samples if labels["ending"] == "ok"}


@given(st.lists(STEP))
def test_no_counter_falls_and_none_is_counted_twice(steps):
    """Whatever is told apart when: each series only grows, and all that were ever shown add up to all that happened."""
    tally, counts, before = Tally(), Counter[str](), Counter[str]()
    for happened, named in steps:
        counts.update(happened)
        shown = tally.show(counted(counts, named))
        assert named <= shown.keys()
        assert all(shown[name] >= before[name] for name in before)
        assert sum(shown.values()) == sum(counts.values())
        before = Counter(shown)


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50))))
def test_operations_that_are_always_told_apart_are_exact(steps):
    """While there are few operations each has its own counter, from its first call on."""
    tally, counts = Tally(), Counter[str]()
    for happened in steps:
        counts.update(happened)
        shown = tally.show(counted(counts, set(counts)))
        assert shown == {**counts, OTHER: 0}


def test_what_an_operation_did_among_the_others_stays_with_them():
    """An operation that becomes busy starts with what it did since then; its past stays where it was shown."""
    tally = Tally()
    tally.show({"a": 10.0, OTHER: 100.0})
    assert tally.show({"b": 95.0, OTHER: 20.0}) == {"a": 10.0, "b": 5.0, OTHER: 100.0}
    assert tally.show({"b": 99.0, OTHER: 20.0}) == {"a": 10.0, "b": 9.0, OTHER: 100.0}


def test_names_without_end_are_not_kept_without_end():
    """Twenty thousand operations that were each told apart once leave a bounded memory."""
    tally = Tally()
    for n in range(20_000):
        shown = tally.show({f"operation {n}": 1.0, OTHER: float(n)})
    assert len(shown) <= REMEMBERED
    assert shown["operation 19999"] == 1


def test_a_reader_is_shown_steady_counters():
    """The samples of operations are the tallied ones, sums and counts of their durations too; quantiles pass."""
    moments: Iterator[Snapshot] = iter(
        [
            snapshot(operation("a", {"ok": 3}), other=operation(OTHER, {"ok": 50})),
            snapshot(operation("b", {"ok": 49}), other=operation(OTHER, {"ok": 5})),
        ]
    )
    exported = Exported(lambda: next(moments))
    assert calls(exported) == {"a": 3, OTHER: 50}
    assert calls(exported) == {"b": 1, OTHER: 50}


@pytest.mark.parametrize("suffix", ["_sum", "_count"])
def test_what_is_gone_is_shown_no_more(suffix):
    """A series whose operation is not told apart any more ends; it does not stand still for ever."""
    moments = iter([snapshot(operation("a")), snapshot(operation("b"))])
    exported = Exported(lambda: next(moments))
    for name in "ab":
        family = next(one for one in exported() if one.name == "millpond_operation_duration_seconds")
        shown = {dict(labels)["operation"] for found, labels, _ in family.samples if found == suffix}
        assert shown == {name, OTHER}
