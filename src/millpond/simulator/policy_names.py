"""Finds a policy by its name: one that comes with the package, or a class of the user's as `module:Class`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from millpond.optimizer.policies.fixed import Fixed

if TYPE_CHECKING:
    from millpond.optimizer import Mode, Policy, Slo

BUILT_IN: Mapping[str, type[Policy]] = {"fixed": Fixed}


class PolicyError(ValueError):
    """There is no such policy, or it cannot be made."""


def make_policy(name: str, slo: Slo, mode: Mode, low: int, high: int) -> Policy:
    """The policy of that name, told the objective, the mode and the bounds. Raises `PolicyError`."""
    found = _class(name)
    try:
        policy: Policy = found(slo, mode, low, high)
    except Exception as error:
        raise PolicyError(f"the policy {name!r} cannot be made: {error!r}") from error
    if not callable(getattr(policy, "propose", None)) or not getattr(policy, "interval_s", 0) > 0:
        raise PolicyError(f"{name!r} is no policy: it needs propose() and an interval_s above 0")
    return policy


def _class(name: str) -> Any:
    if ":" not in name:
        if name not in BUILT_IN:
            raise PolicyError(f"there is no policy {name!r}; there are {', '.join(BUILT_IN)}, or module:Class")
        return BUILT_IN[name]
    module_name, _, class_name = name.partition(":")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PolicyError(f"there is no policy {name!r}: {error}") from error
