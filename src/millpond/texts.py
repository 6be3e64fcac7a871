"""What an exception is and says, whatever its own methods do: it may be a handler's, a store's or an engine's."""

from __future__ import annotations

from typing import TypeGuard

from millpond.errors import PoolError


def is_pool_error(error: object) -> TypeGuard[PoolError]:
    """Whether it is one, as its type says: `isinstance` would run the `__class__` of a handler's exception."""
    return issubclass(type(error), PoolError)


def text_of(error: object) -> str:
    """Type and text, also of one whose own methods raise."""
    return f"{_name_of(error)}: {words_of(error)}"


def words_of(error: object) -> str:
    """Its text alone."""
    try:
        return str(error)
    except BaseException as failure:
        return f"<no text: its __str__ raised {_name_of(failure)}>"


def _name_of(error: object) -> str:
    try:
        return str(type(error).__qualname__)
    except BaseException:  # its metaclass says so
        return "an exception without a readable name"
