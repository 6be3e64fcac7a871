"""A simulation beside a real pool on the same traffic: real processes start, sleep and go by the same rules."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from millpond.cli.app import app
from millpond.cli.simulate.validate import faster
from millpond.core import SizingRule
from millpond.optimizer import Proposal


class Brief:
    """On demand, and gone after a moment."""

    name: ClassVar[str] = "brief"
    interval_s = 5.0

    def __init__(self, slo, mode, low, high):
        pass

    def propose(self, seen):
        return Proposal(SizingRule(idle_timeouts=(1.0,), drain_s=0.0), "gone after a moment")


TRACES = {
    "open": "arrival_s,service_s\n0,1\n0.1,1\n6,1\n6.2,2\n",
    "sessions": "arrival_s,service_s,session,think_s\n0,1,a,\n0.5,1,b,\n4,0.5,a,2\n8,1,b,4\n",
}


@pytest.mark.parametrize("kind", TRACES)
def test_a_real_pool_serves_the_same_traffic(kind, tmp_path, capsys):
    """Both are shown: as many requests begun, no session lost, workers that came and went. Twenty times as fast."""
    path = tmp_path / "trace.csv"
    path.write_text(TRACES[kind])
    tokens = ["--cold", "1", "--wait", "600", "--max", "3", "--score-from", "0", "--speed", "20"]
    app(["simulate", str(path), *tokens, "--policy", f"{__name__}:Brief", "--validate", "--json"])
    simulated, real = json.loads(capsys.readouterr().out)
    assert (simulated["run"], real["run"]) == ("simulated", "real")
    for row in (simulated, real):
        assert (row["requests"], row["attainment"], row["sessions_lost"]) == (4, 1.0, 0)
        assert row["worker_seconds"] > row["floor_worker_seconds"] / 2
        assert row["starts"] >= 2


def test_what_no_real_pool_can_be_told_is_refused(tmp_path, capsys):
    """Exit code 2: faults and starts at random are the simulation's."""
    path = tmp_path / "trace.csv"
    path.write_text(TRACES["open"])
    for tokens in (["--cold", "exponential:1"], ["--cold", "1", "--dying", "0.1"]):
        with pytest.raises(SystemExit) as ended:
            app(["simulate", str(path), *tokens, "--policy", "fixed", "--validate"])
        assert ended.value.code == 2
        assert "--validate takes none" in capsys.readouterr().err


def test_a_rule_is_scaled_where_it_has_seconds():
    """Workers are not."""
    rule = SizingRule(floor=2, spares=1, idle_timeouts=(60.0, 6.0), patience_s=0.5, drain_s=2.0)
    assert faster(rule, 2.0) == SizingRule(floor=2, spares=1, idle_timeouts=(30.0, 3.0), patience_s=0.25, drain_s=1.0)
    assert faster(SizingRule(), 2.0).drain_s is None
