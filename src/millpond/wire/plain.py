"""Exceptions as data: class name, arguments and attributes in msgpack, with the types of plain Python data kept.

The worker takes an exception apart, the parent puts it together again. The parent looks for the class among the modules
it has already loaded, and has the built-in class make the instance: no import, no pickle, no constructor or method of
the class runs. What is no plain data is replaced by its `repr` before it leaves.
"""

from __future__ import annotations

import importlib
import sys
import types
from contextlib import suppress
from typing import Any

import msgspec

from millpond.wire.wording import plain_text, type_name

Classes = dict[tuple[str, str], type[BaseException]]

_LARGEST = 64 * 1024  # bytes of an argument or attribute, where all of them together are too large
_REPR = 1024  # characters that replace it
_HEAP_TYPE = 1 << 9  # of a class's flags: it was made at run time

# Values travel as themselves (None, bool, float, str, bytes, an int of 64 bits) or as [tag, ...].
_SEQUENCES: dict[str, Any] = {"t": tuple, "l": list, "s": set, "f": frozenset, "y": bytearray}
_HASHING = "sf"
_BIG, _DICT, _NAMED, _ERROR = "i", "d", "n", "e"

# Data types of the standard library that are rebuilt from their text, or from the arguments of their `__reduce_ex__`.
_FROM_TEXT = {"builtins": ["complex"], "decimal": ["Decimal"], "fractions": ["Fraction"], "uuid": ["UUID"]}
_FROM_TEXT |= {"pathlib": ["PosixPath", "PurePosixPath"]}
_FROM_ARGUMENTS = {"datetime": ["date", "datetime", "time", "timedelta", "timezone"]}
_NUMPY_SCALARS = ("bool", "int", "uint", "float")  # how the names of those begin that are numbers

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

_native_attribute = types.MemberDescriptorType | types.GetSetDescriptorType
# Whatever the metaclass.
_base_of, _flags_of = type.__dict__["__base__"].__get__, type.__dict__["__flags__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__


def encode_exception(error: BaseException, limit: int) -> tuple[bytes, Classes, bool]:
    """The exception as at most `limit` bytes of data, the classes that are named there, and whether nothing is missing.

    What is no plain data, or too large, is replaced by its `repr`. Raises where the exception cannot be taken apart.
    """
    for largest in (limit, _LARGEST):
        encoder = _Encoder(largest)
        data = _pack(encoder.exception(error))
        if len(data) <= limit:
            return data, encoder.classes, encoder.is_whole
    raise ValueError(f"the exception takes {len(data)} bytes")


def decode_exception(data: bytes, classes: Classes | None = None) -> BaseException:
    """The exception again, its class looked up in `classes` or in the loaded modules; raises on anything else."""
    error = _decoded(_unpack(data), classes or {})
    if not isinstance(error, BaseException):
        raise TypeError("the data is no exception")
    return error


def find_exception_class(module: str, qualname: str) -> type[BaseException]:
    """A loaded exception class by name; raises `LookupError`. Runs no code: no import, no `__getattr__`."""
    found: Any = sys.modules.get(module)
    if not isinstance(found, types.ModuleType):
        raise LookupError(f"module {module!r} is not loaded")
    namespace = object.__getattribute__(found, "__dict__")
    kind: Any = None
    for name in qualname.split("."):
        kind = namespace.get(name)
        if not isinstance(kind, type):
            raise LookupError(f"{module}.{qualname} is not a loaded class")
        namespace = _namespace_of(kind)
    if not issubclass(kind, BaseException):
        raise LookupError(f"{module}.{qualname} is no exception class")
    found_class: type[BaseException] = kind
    return found_class


class _Encoder:
    """Takes one exception apart: no argument or attribute is larger than `largest` bytes."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.classes: Classes = {}
        self.is_whole = True

    def exception(self, error: BaseException) -> list[Any]:
        """Not by the exception's own methods, but by those of the built-in class it is made of."""
        kind: Any = type(error)
        _, arguments, *more = _native_base(kind).__reduce__(error)
        state = dict(more[0] or {}) if more else {}
        slotted = object.__getstate__(error)
        if isinstance(slotted, tuple):  # it has slots
            state |= slotted[1]
        args: tuple[Any, ...] = BaseException.args.__get__(error)  # type: ignore[attr-defined]
        self.classes[kind.__module__, kind.__qualname__] = kind
        return [
            _ERROR,
            kind.__module__,
            kind.__qualname__,
            [self._item(item) for item in arguments],
            [[str(name), self._item(item)] for name, item in state.items()],
            None if args is arguments else [self._item(item) for item in args],
        ]

    def _item(self, value: Any) -> msgspec.Raw | str:
        """An argument or attribute, or its `repr` if it is no plain data, or too large."""
        with suppress(Exception):
            packed = _pack(self._value(value))
            if len(packed) <= self._largest:
                return msgspec.Raw(packed)
        self.is_whole = False
        try:
            return plain_text(repr(value), _REPR)
        except BaseException:
            return f"<{type_name(type(value))} object>"

    def _value(self, value: Any, is_hashed: bool = False) -> Any:
        """A value as msgpack can carry it. Subclasses of plain types, and numpy's scalars, become the plain type.

        What `is_hashed` where it arrives holds no exceptions, whose class may have a `__hash__`.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**64 else [_BIG, hex(value)]
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, float | bytes):
            return float(value) if isinstance(value, float) else bytes(value)
        if isinstance(value, BaseException) and not is_hashed:
            return self.exception(value)
        if isinstance(value, dict):
            return [_DICT, [[self._value(key, True), self._value(item)] for key, item in value.items()]]
        for tag, kind in _SEQUENCES.items():
            if isinstance(value, kind):
                return [tag, [self._value(item, is_hashed or tag in _HASHING) for item in value]]
        module, name = type(value).__module__.partition("._local")[0], type(value).__qualname__
        if name in _FROM_TEXT.get(module, ()):
            return [_NAMED, module, name, [str(value)]]
        if name in _FROM_ARGUMENTS.get(module, ()):
            return [_NAMED, module, name, [self._value(item) for item in value.__reduce_ex__(5)[1]]]
        if module == "numpy" and name.startswith(_NUMPY_SCALARS):
            return self._value(value.item())
        raise TypeError(f"{module}.{name} is no plain data")


def _native_base(kind: Any) -> Any:
    """The class written in C whose `__new__` makes instances of this one."""
    while _flags_of(kind) & _HEAP_TYPE:
        new = _namespace_of(kind).get("__new__")
        if isinstance(new, types.BuiltinMethodType) and new.__self__ is kind:
            break
        kind = _base_of(kind)
    return kind


def _decoded(value: Any, classes: Classes | None) -> Any:
    """`classes`: `None` for a value that is hashed."""
    if type(value) is not list:
        return value
    tag, *content = value
    if tag == _ERROR and classes is not None:
        return _decoded_exception(classes, *content)
    if tag == _NAMED:
        return _decoded_named(*content)
    (items,) = content
    if tag == _BIG:
        return int(items, 16)
    if tag == _DICT:
        return {_decoded(key, None): _decoded(item, classes) for key, item in items}
    return _SEQUENCES[tag]([_decoded(item, None if tag in _HASHING else classes) for item in items])


def _decoded_named(module: str, name: str, arguments: list[Any]) -> Any:
    if name not in (_FROM_TEXT | _FROM_ARGUMENTS)[module]:
        raise LookupError(f"{module}.{name} is no plain data")
    kind = getattr(importlib.import_module(module), name)
    return kind(*[_decoded(item, None) for item in arguments])


def _decoded_exception(
    classes: Classes, module: str, qualname: str, arguments: list[Any], state: list[Any], args: list[Any] | None
) -> BaseException:
    kind = classes.get((module, qualname)) or find_exception_class(module, qualname)
    base, made_of = _native_base(kind), tuple(_decoded(item, classes) for item in arguments)
    error: BaseException = base.__new__(kind, *made_of)
    if type(error) is not kind:
        raise TypeError(f"{qualname} made something else")
    base.__init__(error, *made_of)
    final = made_of if args is None else tuple(_decoded(item, classes) for item in args)
    BaseException.args.__set__(error, final)  # type: ignore[attr-defined]
    for name, item in state:
        _set_attribute(error, name, _decoded(item, classes))
    return error


def _set_attribute(error: BaseException, name: str, value: Any) -> None:
    """Set an attribute without running a property or a `__setattr__`."""
    namespaces = map(_namespace_of, type.mro(type(error)))
    attribute = next((namespace[name] for namespace in namespaces if name in namespace), None)
    if isinstance(attribute, _native_attribute):
        attribute.__set__(error, value)
    else:
        BaseException.__dict__["__dict__"].__get__(error)[name] = value
