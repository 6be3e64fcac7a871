"""Handlers for the tests of warm-up: they note what was run in them, and fail when a file says so."""

from __future__ import annotations

import os
import time

READY: list[str] = []  # what functions ran in this process


class Cook:
    """Each operation notes itself; `boil` fails while the file it is given exists."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def heat(self, degrees: int) -> object:
        """Returns what cannot be sent."""
        self.done.append(f"heat {degrees}")
        return (one for one in ())

    def boil(self, path: str) -> None:
        self.done.append("boil")
        if os.path.exists(path):
            raise RuntimeError("no water")

    def boil_once_in_two(self, path: str) -> None:
        """Fails in the first process that comes here and in no other."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        raise RuntimeError("no water")

    def nap(self, seconds: float) -> None:
        time.sleep(seconds)

    def what(self) -> list[str]:
        return self.done

    def steam(self):
        yield 1

    def serve(self, dish: str, *, session) -> str:
        return dish


def note(what: str) -> object:
    """A function for `Warmup.run`; what it returns cannot be sent."""
    READY.append(what)
    return (one for one in ())


def noted() -> list[str]:
    return READY
