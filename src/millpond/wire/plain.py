"""Exceptions as data: class name, arguments and attributes in msgpack, with the types of plain Python data kept.

The worker takes an exception apart, the parent puts it together again. The parent calls nothing but exception classes
of modules it has already loaded, with plain data: no import, no pickle, no method of the exception runs. What does not
fit raises, or is replaced by its `repr`, and then not even the class is called; `exceptions` decides which.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any, NamedTuple

import msgspec

from millpond.wire.wording import plain_text, type_name

Classes = dict[tuple[str, str], type[BaseException]]

_LARGEST = 64 * 1024  # bytes of an argument or attribute, where what does not fit is replaced
_REPR = 1024  # characters that replace it
_HEAP_TYPE = 1 << 9  # of a class's flags: it was made at run time

# Values travel as themselves (None, bool, float, str, bytes, an int of 64 bits) or as [tag, ...].
_TUPLE, _LIST, _DICT, _SET, _FROZENSET = "t", "l", "d", "s", "f"
_BYTEARRAY, _BIG, _NAMED, _ERROR = "y", "i", "n", "e"
_BARE = "b"  # an exception that is made without its own constructor

# Data types of the standard library that are rebuilt from their text, or from the arguments of their `__reduce_ex__`.
_FROM_TEXT = frozenset(
    {
        ("builtins", "complex"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("pathlib", "PosixPath"),
        ("pathlib", "PurePosixPath"),
    }
)
_FROM_ARGUMENTS = frozenset(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone"))
_NUMPY_SCALARS = frozenset(
    ("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32")
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

_native_attribute = types.MemberDescriptorType | types.GetSetDescriptorType
_base_of, _flags_of = type.__dict__["__base__"].__get__, type.__dict__["__flags__"].__get__  # whatever the metaclass


class _Taking(NamedTuple):
    """What goes along while a value is taken apart: the classes that are named, and whether `repr` may replace."""

    classes: Classes
    may_replace: bool


def freeze_exception(error: BaseException, may_replace: bool = False) -> tuple[bytes, Classes]:
    """The exception as data, and the classes it names; raises if it holds anything but plain data and exceptions.

    With `may_replace` such arguments and attributes become text, and the class is not to be called with them.
    """
    classes: Classes = {}
    return _encode(_take_apart(error, _Taking(classes, may_replace))), classes


def thaw_exception(data: bytes, classes: Classes | None = None) -> BaseException:
    """The exception again, its class looked up in `classes` or in the loaded modules; raises on anything else."""
    error = _put_together(_decode(data), classes or {})
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
        namespace = type.__getattribute__(kind, "__dict__")
    if not issubclass(kind, BaseException):
        raise LookupError(f"{module}.{qualname} is no exception class")
    found_class: type[BaseException] = kind
    return found_class


def _take_apart(value: Any, taking: _Taking) -> Any:
    """A value as msgpack can carry it. Subclasses of plain types, and numpy's scalars, become the plain type."""
    if value is None or isinstance(value, bool | float):
        return value if value is None or isinstance(value, bool) else float(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else [_BIG, hex(value)]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, BaseException):
        return _take_bare_apart(value, taking) if taking.may_replace else _take_exception_apart(value, taking)
    if isinstance(value, tuple | list | set | frozenset | dict | bytearray):
        return _take_container_apart(value, taking)
    return _take_named_apart(value, taking)


def _take_container_apart(value: Any, taking: _Taking) -> list[Any]:
    if isinstance(value, bytearray):
        return [_BYTEARRAY, bytes(value)]
    if isinstance(value, dict):
        return [_DICT, [[_take_apart(key, taking), _take_apart(item, taking)] for key, item in value.items()]]
    tags = ((tuple, _TUPLE), (list, _LIST), (set, _SET), (frozenset, _FROZENSET))
    tag = next(tag for kind, tag in tags if isinstance(value, kind))
    return [tag, [_take_apart(item, taking) for item in value]]


def _take_named_apart(value: Any, taking: _Taking) -> Any:
    kind = type(value)
    module, name = kind.__module__.partition("._local")[0], kind.__qualname__
    if (module, name) in _FROM_TEXT:
        return [_NAMED, module, name, [str(value)]]
    if (module, name) in _FROM_ARGUMENTS:
        return [_NAMED, module, name, [_take_apart(item, taking) for item in value.__reduce_ex__(5)[1]]]
    if module == "numpy" and name in _NUMPY_SCALARS:
        return _take_apart(value.item(), taking)
    raise TypeError(f"{module}.{name} is no plain data")


def _take_exception_apart(error: BaseException, taking: _Taking) -> list[Any]:
    reduced: Any = error.__reduce_ex__(5)
    kind, arguments, *more = reduced
    if kind is not type(error) or len(more) > 1:
        raise TypeError(f"{kind!r} is not how an exception is made")
    taking.classes[kind.__module__, kind.__qualname__] = kind
    # The message as it is now: a constructor that makes it from its arguments would make it twice.
    args = None if error.args is arguments else [_take_apart(item, taking) for item in error.args]
    state = dict(more[0] or {}) if more else {}
    return [
        _ERROR,
        kind.__module__,
        kind.__qualname__,
        [_take_apart(item, taking) for item in arguments],
        [[str(name), _take_apart(item, taking)] for name, item in state.items()],
        args,
    ]


def _take_bare_apart(error: BaseException, taking: _Taking) -> list[Any]:
    """Not by the exception's own methods, but by those of the built-in class it is made of."""
    kind: Any = type(error)
    _, arguments, *more = _built_in_base(kind).__reduce__(error)
    taking.classes[kind.__module__, kind.__qualname__] = kind
    state = dict(more[0] or {}) if more else {}
    args: tuple[Any, ...] = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    return [
        _BARE,
        kind.__module__,
        kind.__qualname__,
        [_replaced(item, taking) for item in arguments],
        [[str(name), _replaced(item, taking)] for name, item in state.items()],
        None if args is arguments else [_replaced(item, taking) for item in args],
    ]


def _replaced(value: Any, taking: _Taking) -> Any:
    """The value taken apart, or its `repr` if it is no plain data, or too large."""
    try:
        taken = _take_apart(value, taking)
        if len(_encode(taken)) <= _LARGEST:
            return taken
    except Exception:
        pass
    try:
        return plain_text(repr(value), _REPR)
    except BaseException:
        return f"<{type_name(type(value))} object>"


def _built_in_base(kind: type) -> Any:
    """The built-in exception class whose `__new__` makes instances of this one."""
    while _flags_of(kind) & _HEAP_TYPE:
        kind = _base_of(kind)
    return kind


def _put_together(value: Any, classes: Classes) -> Any:
    if type(value) is not list:
        return value
    tag, *content = value
    if tag in (_ERROR, _BARE):
        return _put_exception_together(content, classes, tag == _BARE)
    if tag == _NAMED:
        return _put_named_together(content, classes)
    (items,) = content
    if tag == _BIG:
        return int(items, 16)
    if tag == _BYTEARRAY:
        return bytearray(memoryview(items))
    if tag == _DICT:
        return {_put_together(key, classes): _put_together(item, classes) for key, item in items}
    kind = {_TUPLE: tuple, _LIST: list, _SET: set, _FROZENSET: frozenset}[tag]
    return kind([_put_together(item, classes) for item in items])


def _put_named_together(content: list[Any], classes: Classes) -> Any:
    module, name, arguments = content
    if (module, name) not in _FROM_TEXT | _FROM_ARGUMENTS:
        raise LookupError(f"{module}.{name} is no plain data")
    kind = getattr(importlib.import_module(module), name)
    return kind(*[_put_together(item, classes) for item in arguments])


def _put_exception_together(content: list[Any], classes: Classes, is_bare: bool) -> BaseException:
    module, qualname, arguments, state, args = content
    kind = classes.get((module, qualname)) or find_exception_class(module, qualname)
    call_with = tuple(_put_together(item, classes) for item in arguments)
    error = _made_bare(kind, call_with) if is_bare else kind(*call_with)
    if type(error) is not kind:
        raise TypeError(f"{qualname} made something else")
    final = call_with if args is None else tuple(_put_together(item, classes) for item in args)
    BaseException.args.__set__(error, final)  # type: ignore[attr-defined]
    for name, item in state:
        _set_attribute(error, name, _put_together(item, classes))
    return error


def _made_bare(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """An instance that no code of its class has seen."""
    base = _built_in_base(kind)
    error: BaseException = base.__new__(kind, *arguments)
    base.__init__(error, *arguments)
    return error


def _set_attribute(error: BaseException, name: str, value: Any) -> None:
    """Set an attribute without running a property or a `__setattr__`."""
    namespaces = [type.__getattribute__(kind, "__dict__") for kind in type.mro(type(error))]
    attribute = next((namespace[name] for namespace in namespaces if name in namespace), None)
    if isinstance(attribute, _native_attribute):
        attribute.__set__(error, value)
    else:
        BaseException.__dict__["__dict__"].__get__(error)[name] = value
