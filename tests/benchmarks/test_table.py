"""The benchmark's page: its tables come from raw data, and its verdicts follow from the rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import driver, scenarios, table, targets
from benchmarks.scenarios import MEASURES, POOL, STDLIB

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"


def result_with(raw: dict[str, dict[str, list[float]]]) -> dict[str, object]:
    facts = {
        "packages": {"millpond": "1"},
        "cores": 2,
        "processor": "x",
        "memory_gib": 1,
        "kernel": "6",
        "python": "3.11",
    }
    machine = facts | {"load_before": 0.1}
    return {"date": "2026-01-01", "machine": machine, "workers": 2, "rounds": 3, "raw": raw, "failures": {}}


def test_the_page_has_a_place_for_every_table():
    """Writing results never drops a scenario, and writing them twice changes nothing."""
    found = table.parts(result_with({"64 in flight": {POOL: [9.0, 8.0, 7.0], STDLIB: [1.0, 1.0, 1.0]}}))
    page = table.filled(PAGE.read_text(), found)
    assert all(text in page for text in found.values())
    assert table.filled(page, found) == page


def test_both_pages_are_written_from_the_same_rounds(tmp_path):
    """The README's comparison holds medians that the page of tables has, too, and only pools that were measured."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "performance.md").write_text(PAGE.read_text())
    (tmp_path / "README.md").write_text(README.read_text())
    table.write(result_with({"64 in flight": {POOL: [9.0, 8.0, 7.0], STDLIB: [1.0, 1.5, 1.2]}}), tmp_path)
    told = (tmp_path / "README.md").read_text()
    assert f"| {POOL} " in told
    assert "loky" not in told.partition("<!-- comparison -->")[2].partition("<!-- end -->")[0]
    for figure in ("8.00", "1.20"):
        assert figure in told
        assert figure in (tmp_path / "docs" / "performance.md").read_text()


def test_a_page_without_a_place_is_refused():
    """A marker lost in an edit is an error and no silent omission."""
    with pytest.raises(ValueError, match="no place"):
        table.filled("# Empty\n", {"targets": "x"})


def test_a_target_is_judged_by_the_ratio_within_each_round():
    """A machine that drifts between rounds changes both figures of a ratio, and so not the verdict."""
    raw = {"64 in flight": {POOL: [60.0, 600.0, 6.1], STDLIB: [10.0, 100.0, 1.0]}}
    figure, reached = targets.reached(targets.TARGETS[0], raw) or (0.0, False)
    assert (figure, reached) == (6.0, True)


def test_a_target_without_data_is_neither_reached_nor_missed():
    """A partial run says so instead of judging."""
    assert targets.reached(targets.TARGETS[0], {"64 in flight": {POOL: [1.0]}}) is None


def test_where_we_lose_lists_the_peers_ahead_of_us_and_no_other():
    """Being slower shows in the table of losses for rates (more is better) and for times (less is better) alike."""
    raw = {
        "64 in flight": {POOL: [10.0], "fast": [20.0], "slow": [5.0]},
        "round trip p50": {POOL: [50.0], "fast": [20.0], "slow": [90.0]},
    }
    lost = table.losses_table(raw)
    assert lost.count("fast") == 2
    assert "slow" not in lost


def test_every_peer_and_measure_is_known():
    """Scenarios name only peers that can be made, and targets only measures that exist."""
    assert {peer for scenario in scenarios.SCENARIOS for peer in scenario.peers} <= set(driver.WHERE)
    assert {name for target in targets.TARGETS for name in (target.measure, target.reference)} <= set(MEASURES)
