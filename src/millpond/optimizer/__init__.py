"""Chooses the parameters of the core's sizing rule: what it sees, who proposes, and the objective it is asked to meet.

Knows the core's rule and numbers only; the pool drives it live, the simulator under a virtual clock.
"""

from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Candidate, Mode, Policy, Proposal
from millpond.slo import Slo

__all__ = ["Candidate", "Mode", "Observation", "Policy", "Proposal", "Slo"]
