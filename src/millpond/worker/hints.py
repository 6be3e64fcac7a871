"""An operation's type hints: what its arguments in a document have to be, and the JSON Schema that says so.

A hint that cannot be resolved, or that no document can carry, allows anything. Classes with `model_validate`, as those
of pydantic, check what is given themselves.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from millpond.seams import OperationKind

SESSION = "session"  # the parameter that receives the call's session
_POSITION_ONLY, _BY_EITHER, _MORE, _KEYWORD_ONLY, _MORE_KEYWORDS = inspect._ParameterKind
_STREAMS = ("Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator")
_REFERENCES = "#/$defs/{name}"


class Arguments:
    """What an operation takes by its parameters and their hints: `struct` is the type of its arguments by name.

    Its fields are numbered and carry the parameters' names in documents only, so that no name is in the way of a
    struct's own attributes.
    """

    def __init__(
        self, found: Sequence[inspect.Parameter], hints: dict[str, Any], taken: frozenset[str] = frozenset()
    ) -> None:
        self._more = next((p for p in found if p.kind is _MORE), None)
        self.more_keywords = any(p.kind is _MORE_KEYWORDS for p in found)
        self._extra = next((usable(hints.get(p.name, Any)) for p in found if p.kind is _MORE_KEYWORDS), Any)
        self._taken = taken  # names that are given by whoever runs the operation: its instance's, and its session's
        self.parameters = [p for p in found if p.kind is not _MORE_KEYWORDS]
        self._by_position = sum(p.kind is _POSITION_ONLY for p in found)
        self._is_by_name = self._more is None and not self._by_position
        self._names = [p.name for p in self.parameters]
        self._positions = [p for p in self.parameters if p.kind in (_POSITION_ONLY, _BY_EITHER)]
        self._hints = {p.name: usable(hints.get(p.name, Any)) for p in self.parameters}
        self.struct = msgspec.defstruct(
            "Arguments",
            [self._field(number, parameter) for number, parameter in enumerate(self.parameters)],
            rename={f"p{number}": name for number, name in enumerate(self._names)},
            forbid_unknown_fields=True,
            kw_only=True,
        )
        self._has_dataclass = _names_dataclass(*self._hints.values(), self._extra)

    def _field(self, number: int, parameter: inspect.Parameter) -> Any:
        hint = self._hints[parameter.name]
        if parameter.kind is _MORE:
            return f"p{number}", list[hint], msgspec.field(default_factory=list)  # type: ignore[valid-type]
        if parameter.default is parameter.empty:
            return f"p{number}", hint
        return f"p{number}", hint | msgspec.UnsetType if hint is not Any else Any, msgspec.UNSET

    def split(self, given: Any) -> tuple[list[Any], dict[str, Any]]:
        """The arguments in a struct, as those by position and those by keyword."""
        values = zip(self._names, msgspec.structs.astuple(given), strict=True)
        named = {name: value for name, value in values if value is not msgspec.UNSET}
        if self._has_dataclass:
            _complete(named)
        return ([], named) if self._is_by_name else self._placed(named)

    def _placed(self, named: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Put by position what can be given in no other way; a default fills the place in front of what is given."""
        more = named.pop(self._more.name, []) if self._more is not None else []
        count = len(self._positions) if more else self._by_position
        args: list[Any] = []
        for parameter in self._positions[:count]:
            if parameter.name not in named and not more and not any(p.name in named for p in self._positions[:count]):
                break
            args.append(named.pop(parameter.name, parameter.default))
        return [*args, *more], named

    def convert(
        self, by_position: Sequence[Any], by_name: dict[str, Any], native: Sequence[type]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Arguments that were decoded without their types; `native` types are there already, not as text."""
        named = dict(zip((p.name for p in self._positions), by_position, strict=False))
        rest = list(by_position[len(self._positions) :])
        if rest and self._more is None:
            count = len(self._positions)
            raise TypeError(f"it takes {count} arguments by position, but {len(by_position)} were given")
        if twice := sorted(named.keys() & by_name.keys()):
            raise TypeError(f"it got multiple values for argument {twice[0]!r}")
        if rest and self._more is not None:
            named[self._more.name] = rest
        extra = {k: by_name.pop(k) for k in list(by_name) if k not in self._hints} if self.more_keywords else {}
        if both := sorted(self._taken & extra.keys()):
            raise TypeError(f"it takes no argument {both[0]!r} from its caller")
        made = msgspec.convert(
            named | by_name, self.struct, strict=True, builtin_types=native or None, dec_hook=dec_hook, str_keys=True
        )
        args, kwargs = self.split(made)
        for name, value in extra.items():
            kwargs[name] = _converted(name, value, self._extra, native)
        if self._has_dataclass:
            _complete(kwargs)
        return args, kwargs

    def from_bytes(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        """The body is the first argument. Raises `TypeError` for an operation that takes no bytes there."""
        first = next(iter(self.parameters), None)
        if first is None:
            raise TypeError("it takes no argument")
        hint = self._hints[first.name]
        if not (hint is Any or any(kind in (hint, *typing.get_args(hint)) for kind in (bytes, bytearray, memoryview))):
            raise TypeError(f"its argument {first.name!r} is no bytes; send JSON or msgpack")
        value: Any = bytearray(body) if hint is bytearray else memoryview(body) if hint is memoryview else body
        # Whether all others have defaults is found out as for any other call.
        return self.convert([], {first.name: value}, (bytes, bytearray, memoryview))

    def schema(self, result: Any) -> dict[str, Any]:
        """JSON Schemas of the arguments and of a result of this type, with the definitions both refer to."""
        shared: dict[str, Any] = {}
        kind: Any = dict[str, self._extra] if self.more_keywords else None  # type: ignore[name-defined]
        types = [self.struct, result, *([kind] if kind is not None else [])]
        (_, *others), found = msgspec.json.schema_components(
            types, schema_hook=_schema_hook(shared), ref_template=_REFERENCES
        )
        arguments = found.pop("Arguments")
        arguments.pop("title", None)
        if kind is not None:
            arguments["additionalProperties"] = others[1].get("additionalProperties", True)
        return {"arguments": arguments, "result": others[0], "$defs": shared | found}


def _names_dataclass(*hints: Any) -> bool:
    """Whether values of these types may have instances of dataclasses in them."""
    seen: set[int] = set()

    def look(found: Any) -> bool:
        if isinstance(found, msgspec.inspect.DataclassType):
            return True
        if id(found) in seen or not isinstance(found, msgspec.inspect.Type | msgspec.inspect.Field | tuple):
            return False
        seen.add(id(found))
        parts = found if isinstance(found, tuple) else [getattr(found, name) for name in found.__struct_fields__]
        return any(look(part) for part in parts)

    return look(msgspec.inspect.multi_type_info(hints))


def _complete(value: Any) -> None:
    """Give instances of dataclasses the fields that a document left out, as their constructor would.

    msgspec leaves plain defaults to the class: an instance without them is encoded without them, and `vars` of it
    does not have them.
    """
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        for field in dataclasses.fields(kind):
            own = getattr(value, "__dict__", None)
            if own is not None and field.name not in own and field.default is not dataclasses.MISSING:
                object.__setattr__(value, field.name, field.default)
            _complete(getattr(value, field.name, None))
    elif kind is dict:
        for one in value.values():
            _complete(one)
    elif kind in (list, tuple, set, frozenset):
        for one in value:
            _complete(one)
    elif issubclass(kind, msgspec.Struct):
        for name in kind.__struct_fields__:
            _complete(getattr(value, name))


def _converted(name: str, value: Any, hint: Any, native: Sequence[type]) -> Any:
    try:
        return msgspec.convert(value, hint, builtin_types=native or None, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        text, found, path = str(error).partition(" - at `$")
        raise msgspec.ValidationError(f"{text} - at `$.{name}{path if found else '`'}") from None


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The resolved hints by name; those that cannot be resolved, such as of a name nobody imported, are left out."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not hasattr(plain, "__annotations__"):  # a callable object
        plain = type(plain).__call__
    try:
        return typing.get_type_hints(plain, include_extras=True)
    except Exception:
        return dict(_one_by_one(plain))


def own_names(function: Callable[..., Any]) -> frozenset[str]:
    """The names of a bound operation's parameters that callers do not give."""
    try:
        names = list(inspect.signature(getattr(function, "__func__", function)).parameters)
        callers = set(inspect.signature(function).parameters) - {SESSION}
    except (TypeError, ValueError):
        return frozenset()
    return frozenset(names) - callers


def _one_by_one(function: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(function, "__globals__", {})
    for name, hint in getattr(function, "__annotations__", {}).items():
        probe = type("probe", (), {"__annotations__": {name: hint}})
        try:
            yield name, typing.get_type_hints(probe, names, include_extras=True)[name]
        except Exception:
            continue


def usable(hint: Any) -> Any:
    """The hint, or `Any` if no document can be checked against it."""
    try:
        msgspec.json.Decoder(hint, dec_hook=dec_hook)
    except Exception:
        return Any
    return hint


def result_hint(hints: dict[str, Any], kind: OperationKind) -> Any:
    """What the operation returns, or what its items are."""
    hint = hints.get("return", Any)
    if kind.endswith("stream"):
        inside = typing.get_args(hint)
        name = getattr(typing.get_origin(hint), "__name__", "")
        hint = inside[0] if inside and name in _STREAMS else Any
    return usable(hint)


def schema_of(parameters: Sequence[inspect.Parameter], function: Callable[..., Any], kind: OperationKind) -> str:
    """JSON text: see `OperationFacts.schema`. What has no schema is described as anything."""
    hints = hints_of(function)
    arguments = Arguments(parameters, hints)
    try:
        found = arguments.schema(result_hint(hints, kind))
    except Exception:
        found = {"arguments": {"type": "object"}, "result": {}, "$defs": {}}
    return msgspec.json.encode(found).decode()


def dec_hook(kind: type, value: Any) -> Any:
    """A value of a type that msgspec does not know. Raises `TypeError` or `ValueError` for what does not fit."""
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return _validated(validate, value)
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        import numpy

        return numpy.asarray(value)
    if isinstance(value, kind):
        return value
    raise TypeError(f"a {kind.__qualname__} cannot be read from a document")


def _validated(validate: Callable[[Any], Any], value: Any) -> Any:
    """What pydantic says of a value that does not fit repeats the value, and arguments are in no error."""
    try:
        return validate(value)
    except ValueError as error:
        errors = getattr(error, "errors", None)
        if errors is None:
            raise
        found = errors(include_url=False, include_context=False, include_input=False)
    raise ValueError("; ".join(": ".join([*map(str, e["loc"]), e["msg"]]) for e in found))


def _schema_hook(shared: dict[str, Any]) -> Callable[[type], dict[str, Any]]:
    def hook(kind: type) -> dict[str, Any]:
        describe = getattr(kind, "model_json_schema", None)
        if describe is None:
            return {"title": kind.__qualname__}
        schema: dict[str, Any] = describe(ref_template="#/$defs/{model}")
        shared.update(schema.pop("$defs", {}))
        return schema

    return hook
