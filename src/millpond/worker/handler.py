"""What a handler offers: its operations with their signatures, and the hooks it defines.

`facts_of` reads a class and makes no instance; `BoundOperation` is one operation of the instance, ready to be run.
Comes before the loop: a call's operation number is an index into `operations_of`.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millpond.labels import check_label
from millpond.seams import FUNCTION, HandlerFacts, OperationFacts
from millpond.worker.hints import SESSION as SESSION
from millpond.worker.hints import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.seams import OperationKind

HOOKS = ("setup", "teardown", "preload", "warmup", "open_session", "close_session", "export_session", "import_session")

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NO_OPERATION = (type, property, functools.cached_property)


def facts_of(handler: type | None) -> HandlerFacts:
    """The handler's facts; `None` is the handler of pools that run functions only.

    Operations are in the order of their names, so that every process that loads the class numbers them alike.
    """
    if handler is None:
        return HandlerFacts("functions", (), ())
    names = [check_label("an operation's name", n) for n in sorted(dir(handler)) if _is_operation(handler, n)]
    hooks = tuple(name for name in HOOKS if callable(getattr(handler, name, None)))
    return HandlerFacts(handler.__qualname__, tuple(_operation_facts(handler, name) for name in names), hooks)


def _is_operation(handler: type, name: str) -> bool:
    if name.startswith("_") or name in HOOKS:
        return False
    # Static look-up: a property of a metaclass or a descriptor with side effects is not run for being listed.
    attribute = inspect.getattr_static(handler, name)
    return not isinstance(attribute, _NO_OPERATION) and callable(getattr(handler, name, None))


def _operation_facts(handler: type, name: str) -> OperationFacts:
    parameters = _parameters(handler, name)
    by_position = [p for p in parameters if p.kind in _BY_POSITION and not _is_session(p)]
    by_keyword = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY and not _is_session(p)]
    kinds = {p.kind for p in parameters}
    return OperationFacts(
        name=name,
        kind=kind_of(getattr(handler, name)),
        session=any(_is_session(p) for p in parameters),
        positional=tuple(p.name for p in by_position),
        positional_only=sum(p.kind is inspect.Parameter.POSITIONAL_ONLY for p in by_position),
        required=sum(p.default is p.empty for p in by_position),
        keyword_only=tuple(p.name for p in by_keyword),
        required_keywords=tuple(p.name for p in by_keyword if p.default is p.empty),
        more_positional=inspect.Parameter.VAR_POSITIONAL in kinds,
        more_keywords=inspect.Parameter.VAR_KEYWORD in kinds,
        session_optional=any(_is_session(p) and p.default is not p.empty for p in parameters),
        doc=inspect.getdoc(getattr(handler, name)) or "",
        schema=schema_of(parameters_of(handler, name), getattr(handler, name), kind_of(getattr(handler, name))),
    )


def parameters_of(handler: type, name: str) -> list[inspect.Parameter]:
    """The parameters to which a caller of an operation gives arguments: all but the session."""
    return [one for one in _parameters(handler, name) if not _is_session(one)]


def bound_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The same of an operation that is bound to its instance."""
    return [one for one in _signature(function) if not _is_session(one)]


def _signature(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """What can be given to a function; anything at all where native code tells nothing."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [
            inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
        ]


def _parameters(handler: type, name: str) -> list[inspect.Parameter]:
    """The parameters a caller sees."""
    parameters = _signature(getattr(handler, name))
    attribute = inspect.getattr_static(handler, name)
    is_bound_later = hasattr(type(attribute), "__get__") and not isinstance(attribute, staticmethod | classmethod)
    takes_self = is_bound_later and parameters and parameters[0].kind in _BY_POSITION
    return parameters[1:] if takes_self else parameters


def _is_session(parameter: inspect.Parameter) -> bool:
    return parameter.name == SESSION and parameter.kind in _BY_KEYWORD


def kind_of(function: Any) -> OperationKind:
    """How the operation runs; a callable object is what its `__call__` is."""
    for candidate in (function, getattr(function, "__call__", None)):  # noqa: B004 - its kind, not whether it has one
        if inspect.isasyncgenfunction(candidate):
            return "async_stream"
        if inspect.iscoroutinefunction(candidate):
            return "async"
        if inspect.isgeneratorfunction(candidate):
            return "stream"
    return "plain"


def is_async(handler: type | None, facts: HandlerFacts) -> bool:
    """Whether workers of this handler need an event loop: for an async operation or an async hook."""
    return any(operation.kind.startswith("async") for operation in facts.operations) or any(
        kind_of(getattr(handler, hook)) == "async" for hook in facts.hooks
    )


@dataclass(slots=True, eq=False, repr=False)
class BoundOperation:
    """One operation of the handler's instance.

    `session_at` says where the session goes: `None` nowhere, -1 as keyword, else before the argument of that index
    (callers do not see the parameter, so their positional arguments close up over it). A call without a session gets
    `no_session` there.
    """

    name: str
    kind: OperationKind
    function: Callable[..., Any]
    session_at: int | None
    no_session: Any

    def with_session(
        self, session: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments with the session put in its place, if the operation takes one."""
        at = self.session_at
        if at is None:
            return args, kwargs
        if 0 <= at < len(args):
            return [*args[:at], session, *args[at:]], kwargs
        kwargs[SESSION] = session  # the dictionary was decoded for this call: nobody else holds it
        return args, kwargs


def operations_of(instance: Any, facts: HandlerFacts) -> list[BoundOperation]:
    """The operations by number; the first place is that of plain functions, whose function comes with each call."""
    functions = BoundOperation("function", "plain", _no_function, None, None)
    found = [functions]
    assert FUNCTION == 0
    for operation in facts.operations:
        at, default = _session_place(type(instance), operation.name) if operation.session else (None, None)
        found.append(BoundOperation(operation.name, operation.kind, getattr(instance, operation.name), at, default))
    return found


def _session_place(handler: type, name: str) -> tuple[int, Any]:
    """Where the session goes, and what goes there in its absence."""
    at, session = next((at, p) for at, p in enumerate(_parameters(handler, name)) if _is_session(p))
    return (at if session.kind in _BY_POSITION else -1), session.default


def _no_function() -> None:
    raise AssertionError("a function's call brings its function along")
