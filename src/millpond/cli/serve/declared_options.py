"""Options of the command line made from what `Settings` and `Limits` declare: one for each field that text can say."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from millpond.http.server.limits import Limits
from millpond.settings import Settings

NOT_GIVEN: Any = object()  # `None` is a value of many settings
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


def _options(name: str, declared: type, group: Group) -> type:
    """A dataclass with the options of another's fields."""
    hints = get_type_hints(declared)
    made: list[tuple[str, Any, Any]] = []
    for field in dataclasses.fields(declared):
        hint = _option_of(hints[field.name])
        if hint is not None:
            help_ = _help(field)
            told = Parameter(help=help_, group=group, show_default=False, negative_iterable="")
            made.append((field.name, Annotated[hint, told], dataclasses.field(default=NOT_GIVEN)))
    # cyclopts takes a class for a built-in one by its module.
    return dataclasses.make_dataclass(name, made, frozen=True, kw_only=True, namespace={"__module__": __name__})


def _help(field: dataclasses.Field[Any]) -> str:
    what, unit = field.metadata["what"], field.metadata["unit"]
    told = f"{what[0].upper()}{what[1:]}" + (f" [{unit}]" if unit else "")
    has_default = field.default not in (dataclasses.MISSING, None)
    return f"{told}. Default: {field.default}" if has_default else told


if TYPE_CHECKING:

    class PoolOptions:
        """The settings of a pool."""

    class LimitOptions:
        """The limits of a server."""
else:
    LimitOptions = _options("LimitOptions", Limits, Group("Limits", sort_key=8))
    PoolOptions = _options("PoolOptions", Settings, Group("Settings of each pool", sort_key=9))


def given(options: object) -> dict[str, Any]:
    """What was given, by name."""
    return {name: value for name, value in vars(options).items() if value is not NOT_GIVEN}
