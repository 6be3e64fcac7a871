"""Which policy a setting names: one of ours by its name, or a user's own class."""

from __future__ import annotations

from importlib import import_module

from millpond.optimizer.policies.policy import Mode, Policy
from millpond.slo import Slo

POLICIES = {
    "fixed": "millpond.optimizer.policies.fixed:Fixed",
    "rehearsal": "millpond.optimizer.policies.rehearsal:Rehearsal",
    "target": "millpond.optimizer.policies.target:Target",
    "threshold": "millpond.optimizer.policies.threshold:Threshold",
}
LIGHT = frozenset({"fixed", "target", "threshold"})  # microseconds a look: no process of their own


def policy_class(named: str | type[Policy]) -> type[Policy]:
    """The class of a name of ours, of `module:Class`, or itself. Raises `ValueError` for what is none."""
    if not isinstance(named, str):
        return named
    module_name, _, class_name = POLICIES.get(named, named).partition(":")
    if not class_name:
        raise ValueError(f"there is no policy {named!r}; there are {', '.join(sorted(POLICIES))}, and module:Class")
    try:
        found: type[Policy] = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no policy {named!r}: {error}") from error
    if not callable(getattr(found, "propose", None)):
        raise ValueError(f"{named!r} is no policy: it has no method propose")
    return found


def make_policy(named: str | type[Policy], slo: Slo, mode: Mode, low: int, high: int) -> Policy:
    """The policy for one pool."""
    return policy_class(named)(slo, mode, low, high)
