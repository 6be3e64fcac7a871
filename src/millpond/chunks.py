"""What an `Executor` runs in its workers beside the caller's functions; loads nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Initialized:
    """A handler without operations: its making is the caller's `initializer`."""

    def __init__(self, initializer: Callable[..., Any], initargs: tuple[Any, ...]) -> None:
        try:
            initializer(*initargs)
        except BaseException:
            import logging

            # Where the standard pool tells it: a program, or the initializer itself, may have handlers there.
            logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            raise


def run_chunk(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    """One call for several items of `map`."""
    return [function(*args) for args in chunk]
