"""How what a `type` statement of Python 3.12 made travels: by name, or as an alias whose value follows.

Its value may refer to the alias itself, and is asked for late, as that of the original is. Used by `byvalue`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

from cloudpickle import cloudpickle

from millpond.wire.importable import has_no_place
from millpond.wire.reducers import known, known_or_made, token_of

_STARS = {"TypeVarTuple": "*", "ParamSpec": "**"}


def _reduce_alias(alias: Any) -> Any:
    if cloudpickle._lookup_module_and_qualname(alias, alias.__name__) and not has_no_place(alias):
        return alias.__name__  # by name
    parameters = [
        (_STARS.get(type(made).__name__, "") + made.__name__, cloudpickle._get_or_create_tracker_id(made))
        for made in alias.__type_params__
    ]
    made_of = token_of(alias), alias.__module__, alias.__name__, parameters
    return the_alias, made_of, alias.__value__, None, None, set_value


def the_alias(token: str, module: str, name: str, parameters: list[tuple[str, str]]) -> Any:
    """The alias that stands here for one of another process; its parameters are known before its value comes."""
    there = known(token)
    if there is not None:
        return there
    scope: dict[str, Any] = {"__name__": module, "__value__": (value := _LateValue())}
    listed = f"[{', '.join(parameter for parameter, _ in parameters)}]" if parameters else ""
    exec(f"type {name}{listed} = __value__()", scope)
    alias = known_or_made(token, scope[name])
    _values[alias] = value
    for made, (_, tracker_id) in zip(alias.__type_params__, parameters, strict=True):
        cloudpickle._lookup_class_or_track(tracker_id, made)
    return alias


def set_value(alias: Any, value: Any) -> None:
    """Give an alias that was made here its value."""
    if alias in _values:
        _values.pop(alias).value = value


class _LateValue:
    """What an alias is to mean, as soon as it is known."""

    value: Any

    def __call__(self) -> Any:
        return self.value


_values: dict[Any, _LateValue] = {}  # of aliases whose values are still to come

_ALIAS: type | None = getattr(typing, "TypeAliasType", None)  # since Python 3.12
REDUCERS: dict[type, Callable[[Any], Any]] = {} if _ALIAS is None else {_ALIAS: _reduce_alias}
