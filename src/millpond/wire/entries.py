"""How one name of `__main__` is pickled for the workers' `__main__`: by value, but for the globals of its functions.

Used by `definitions`; apart from it because it imports cloudpickle.
"""

from __future__ import annotations

import io
import re
import types
from typing import Any

import cloudpickle

from millpond.wire.byvalue import ByValuePickler, PickledCall
from millpond.wire.descriptors import Lease
from millpond.wire.mainmodule import namespace
from millpond.wire.pickling import PROTOCOL

_WORDS = re.compile(r"\w+")
_WRITTEN = ("builtins", "typing", "types")  # modules of the kinds of annotations that may contain text


class _Bounded(io.BytesIO):
    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, chunk: Any) -> int:
        if self.tell() + len(memoryview(chunk)) > self._most:
            raise ValueError("this is too large")
        return super().write(chunk)


class _EntryPickler(ByValuePickler):
    """Functions of `__main__` leave their globals behind; `mentioned` are the names that may refer to some."""

    dump = cloudpickle.Pickler.dump  # what is refused is left out: nobody asks where it is

    def __init__(self, file: Any, scope: dict[str, Any]) -> None:
        self.lease = Lease()
        super().__init__(file, protocol=PROTOCOL, lease=self.lease)
        self._scope = scope
        self.mentioned: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        if issubclass(type(value), type):
            self.mentioned |= _names_in(vars(value).get("__annotations__"))
        return super().reducer_override(value)

    def _dynamic_function_reduce(self, function: types.FunctionType) -> Any:
        if function.__globals__ is not self._scope:
            return super()._dynamic_function_reduce(function)
        self.mentioned |= _names_of(function.__code__) | _names_in(function.__annotations__)
        self.globals_ref[id(self._scope)] = PickledCall(namespace)
        make, arguments, (attributes, slots), *rest = cloudpickle.Pickler._dynamic_function_reduce(self, function)
        slots |= {"__globals__": {}, "_cloudpickle_submodules": []}
        return make, arguments, (attributes, slots), *rest


def made_entry(value: Any, scope: dict[str, Any], most_bytes: int) -> tuple[bytes, set[str]]:
    """The pickle and the names it may mention; raises what pickling raises, and `ValueError` if it is too large."""
    file = _Bounded(most_bytes)
    pickler = _EntryPickler(file, scope)
    pickler.dump(value)
    if pickler.lease:
        raise ValueError("this refers to descriptors, which may be taken once")
    return file.getvalue(), pickler.mentioned


def _names_of(code: types.CodeType) -> set[str]:
    """The names in code and in the code inside it: those of its globals, and of attributes too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


def _names_in(annotations: Any) -> set[str]:
    """The words in annotations that are text, or contain some, for `typing.get_type_hints`."""
    texts = annotations.values() if type(annotations) is dict else ()
    written = (text if type(text) is str else repr(text) for text in texts if type(text).__module__ in _WRITTEN)
    return set(_WORDS.findall(" ".join(written)))
