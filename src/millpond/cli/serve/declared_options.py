"""Options of the command line made from what `Settings` and `Limits` declare: one for each field that text can say."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from millpond.http.server.limits import Limits
from millpond.settings import Settings

PLAIN = (int, float, str, bool, type(None))


def _option_of(hint: Any) -> Any:
    """The type hint of the option for a field's; `None` if its values cannot be written there."""
    if get_origin(hint) is Literal or hint in PLAIN:
        return hint
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if _option_of(part) is not None]
        return Union[tuple(parts)] if len(parts) > parts.count(type(None)) else None  # noqa: UP007
    if get_origin(hint) in (Sequence, Mapping) and all(_option_of(part) is not None for part in get_args(hint)):
        return hint
    return None


def _options(name: str, declared: type, group: Group) -> Any:
    """A dictionary's type with the options of another's fields; it holds those that are given, and no defaults."""
    hints = get_type_hints(declared)
    made: dict[str, Any] = {}
    for field in dataclasses.fields(declared):
        hint = _option_of(hints[field.name])
        if hint is not None:
            help_ = _help(field)
            told = Parameter(help=help_, group=group, show_default=False, negative_iterable="")
            made[field.name] = Annotated[hint, told]
    return TypedDict(name, made, total=False)  # type: ignore[operator]


def _help(field: dataclasses.Field[Any]) -> str:
    what, unit = field.metadata["what"], field.metadata["unit"]
    told = f"{what[0].upper()}{what[1:]}" + (f" [{unit}]" if unit else "")
    has_default = field.default not in (dataclasses.MISSING, None)
    return f"{told}. Default: {field.default}" if has_default else told


if TYPE_CHECKING:

    class PoolOptions(TypedDict):
        """The settings of a pool."""

    class LimitOptions(TypedDict):
        """The limits of a server."""
else:
    LimitOptions = _options("LimitOptions", Limits, Group("Limits", sort_key=8))
    PoolOptions = _options("PoolOptions", Settings, Group("Settings of each pool", sort_key=9))
