"""What the library itself runs in a worker beside the program's code: for warm-up commands and for an `Executor`.

Travels by name; importing this loads nothing that a worker has not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from millpond.wire.functions import decode_function


def import_module(name: str) -> None:
    """Import a module, so that no call has to."""
    importlib.import_module(name)


def run_encoded(blob: bytes, *args: Any, **kwargs: Any) -> None:
    """Run a function that came encoded; what it returns is not sent anywhere."""
    decode_function(blob)(*args, **kwargs)


def run_chunk(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    """One call for several items of `Executor.map`."""
    return [function(*args) for args in chunk]


class Initialized:
    """A handler without operations: its making is an executor's `initializer`."""

    def __init__(self, initializer: Callable[..., Any], initargs: tuple[Any, ...]) -> None:
        try:
            initializer(*initargs)
        except BaseException:
            import logging

            # Where the standard pool tells it: a program, or the initializer itself, may have handlers there.
            logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            raise
