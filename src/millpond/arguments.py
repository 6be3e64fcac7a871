"""Checks a call's arguments against the operation's signature, as the handler's side reported it.

`compile_check` makes one function an operation; the ordinary call costs it two comparisons, where
`inspect.Signature.bind` would cost microseconds. Says what is wrong in the words Python would use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millpond.seams import OperationFacts

Check = Callable[[tuple[Any, ...], dict[str, Any]], str | None]


def compile_check(facts: OperationFacts) -> Check:
    """A function of `(args, kwargs)` that returns what is wrong with them, or `None`."""
    most = None if facts.more_positional else len(facts.positional)
    least = facts.required
    needs_keywords = bool(facts.required_keywords)

    def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        given = len(args)
        if not kwargs and not needs_keywords and given >= least and (most is None or given <= most):
            return None
        return _explain(facts, args, kwargs)

    return check


def _explain(facts: OperationFacts, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The slow way: each rule in turn."""
    taken = set(facts.positional[: len(args)])
    by_name = set(facts.positional[facts.positional_only :]) | set(facts.keyword_only)
    if facts.session and "session" in kwargs:
        return f"{facts.name}() receives its session from the pool; give it as pool.options(session=...)"
    if len(args) > len(facts.positional) and not facts.more_positional:
        return f"{facts.name}() takes {len(facts.positional)} positional arguments but {len(args)} were given"
    for name in kwargs:
        if name in taken and name in by_name:
            return f"{facts.name}() got multiple values for argument {name!r}"
        if name not in by_name and not facts.more_keywords:
            return f"{facts.name}() got an unexpected keyword argument {name!r}"
    named = {name for name in kwargs if name in by_name}
    needed = [*facts.positional[: facts.required], *facts.required_keywords]
    missing = [name for name in needed if name not in taken and name not in named]
    return f"{facts.name}() is missing {', '.join(map(repr, missing))}" if missing else None
