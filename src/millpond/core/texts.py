"""What an exception says, whatever its own methods do: it may be a handler's, a store's or an engine's."""

from __future__ import annotations


def text_of(error: object) -> str:
    """Type and text, also of one whose own methods raise."""
    return f"{type(error).__qualname__}: {words_of(error)}"


def words_of(error: object) -> str:
    """Its text alone."""
    try:
        return str(error)
    except BaseException as failure:
        return f"<no text: its __str__ raised {type(failure).__qualname__}>"
