"""The policy `rehearsal`: which means fit how long a start takes."""

from __future__ import annotations

import numpy as np

from millpond.optimizer.policies.rehearsal import Rehearsal
from millpond.slo import Slo
from tests.optimizer.made import STEP_S, observed


def looks(policy, start_s, first=1, count=20):
    """So many looks at a few calls each; the last proposal."""
    proposal = None
    for look in range(first, first + count):
        now = STEP_S * look
        came = now - STEP_S + np.linspace(0.1, STEP_S - 1.1, 8)
        ended = np.stack([came, np.full(8, 0.5), np.zeros(8)], axis=1)
        measured_s = start_s * (1.0 + 0.001 * (look % 2))  # the same as before would be nothing new
        proposal = policy.propose(observed(now=now, start_s=measured_s, service_s=0.5, arrivals=came, ended=ended))
    return proposal


def test_nothing_is_kept_ready_where_starts_are_short():
    """They start within what a call may wait."""
    rule = looks(Rehearsal(Slo(), "economy", 0, 64), start_s=0.2).rule
    assert (rule.floor, rule.spares, rule.timeout(1)) == (0, 0, 0.0)


def test_rules_are_rehearsed_where_starts_are_long():
    """In both modes; in prompt a backlog is left to those at work only if they are through with it at once."""
    for mode, drains in (("economy", (None, 0.0)), ("prompt", (0.02, 0.0))):
        proposal = looks(Rehearsal(Slo(), mode, 0, 64), start_s=2.0)
        assert proposal.plan
        assert proposal.rule.patience_s == 0.0
        assert {candidate.rule.drain_s for candidate in proposal.candidates} <= set(drains)


def test_how_long_starts_take_is_followed():
    """From long to short and back, with nothing kept of what was rehearsed meanwhile."""
    policy = Rehearsal(Slo(), "economy", 0, 64)
    assert looks(policy, 2.0).plan
    assert not looks(policy, 0.02, first=21, count=200).plan
    assert looks(policy, 2.0, first=221).plan
