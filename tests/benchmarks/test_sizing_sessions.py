"""The benchmark of agent sessions: what it reads, makes up and holds against what."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sizing_sessions import Figures, baseline_s, made_up, missed, recorded, simulate, traffic_of

FILE = """session,sub,idx,t_s,api_time_s,think_time_s
a,,0,0.0,2.0,0.0
a,,1,12.0,3.0,10.0
a,,2,13.0,,1.0
a,,3,14.0,4.0,1.0
b,,0,0.0,5.0,0.0
"""


def test_a_pause_counts_from_the_answer_and_is_never_negative(tmp_path):
    """A request that began before the answer to the one before follows that at once; those without times are not."""
    path = tmp_path / "requests.csv"
    path.write_text(FILE)
    (took, pauses), other = recorded(path)
    assert (took.tolist(), pauses.tolist()) == ([2.0, 3.0, 4.0], [0.0, 10.0, 0.0])
    assert [column.tolist() for column in other] == [[5.0], [0.0]]
    traffic = traffic_of([(took, pauses)], hours=0.1, seed=1)
    assert baseline_s(traffic) == pytest.approx(19.0 * len(traffic.sessions))


def test_sessions_that_are_made_up_are_like_recorded_ones():
    """Busy for 7 % of their time, half of the pauses below 10 s, one in ten above two minutes."""
    chains = made_up()
    took = np.concatenate([one for one, _ in chains])
    pauses = np.concatenate([one[1:] for _, one in chains])
    assert took.sum() / (took.sum() + pauses.sum()) == pytest.approx(0.069, abs=0.007)
    assert np.percentile(took, [50, 99]) == pytest.approx([6.1, 60.0], rel=0.1)
    assert took.mean() == pytest.approx(9.7, rel=0.05)
    assert np.percentile(pauses, [50, 90]) == pytest.approx([9.5, 150.0], rel=0.1)


def test_sessions_share_workers_and_none_is_lost():
    """A few hours' sessions cost a fraction of a worker each, though every one of them is answered."""
    traffic = traffic_of(made_up(), hours=0.5, seed=0)
    found = simulate(traffic, cold_s=0.2)
    assert found.cheaper > 4.0
    assert (found.met, found.lost, found.killed) == (1.0, 0, 0)


def test_what_is_missed_is_told():
    """The worst of the runs counts, and any session that was lost."""
    good, bad = Figures(8.5, 1.0, 0.0, 0.0, 1, 0, 0), Figures(7.0, 1.0, 0.0, 0.0, 1, 2, 0)
    assert missed(0.2, [good]) == []
    assert missed(0.2, [good, bad]) == ["7.00 times cheaper, not 8", "2 sessions lost"]
    assert missed(10.0, [bad]) == ["2 sessions lost"]
