"""Handlers that kill or confuse their worker: ways to die, and values and exceptions that cannot be carried."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.faults.handlers import Plain, began


class TwoArguments(Exception):
    """Pickles its one `args` and needs two to come back."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class BadRepr(Exception):
    """Neither `repr` nor `str` of it returns."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise SystemExit(9)


class ExitsWhenPickled(Exception):
    """Ends the process that pickles it, if that process lets it."""

    def __reduce__(self) -> Any:
        raise SystemExit(9)


class ExitsWhenUnpickled(Exception):
    """Ends the process that unpickles it, if that process lets it."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


class BreaksWhenUnpickled:
    """Pickles well and raises where it arrives."""

    def __reduce__(self) -> Any:
        return _break, ()


class ResultExitsWhenPickled:
    """A result that ends the process that pickles it, if that process lets it."""

    def __reduce__(self) -> Any:
        raise SystemExit(9)


def _break() -> None:
    raise RuntimeError("broken on arrival")


EXCEPTIONS = {kind.__name__: kind for kind in (BadRepr, ExitsWhenPickled, ExitsWhenUnpickled)}


class Deadly(Plain):
    """Ways to die and ways to look dead."""

    def segfault(self) -> None:
        ctypes.string_at(0)

    def leave(self, code: int, mark: str | None = None) -> None:
        began(mark)
        os._exit(code)

    def abort(self) -> None:
        os.abort()

    def sys_exit(self) -> None:
        sys.exit(3)

    def system_exit(self) -> None:
        raise SystemExit

    def keyboard_interrupt(self) -> None:
        raise KeyboardInterrupt

    def generator_exit(self) -> None:
        raise GeneratorExit

    def die_unless(self, mark: str, flag: str) -> int:
        """Write the start record and die, unless the file `flag` exists."""
        began(mark)
        if not Path(flag).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    def die_first(self, mark: str) -> int:
        """Write the start record; the first to do so dies."""
        began(mark)
        if len(Path(mark + ".began").read_text().splitlines()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    def unserializable(self) -> Any:
        return threading.Lock()

    def exits_when_pickled(self) -> Any:
        return ResultExitsWhenPickled()

    def breaks_when_unpickled(self) -> Any:
        return BreaksWhenUnpickled()

    def raise_two_arguments(self) -> None:
        raise TwoArguments("one", "two")

    def raise_by_name(self, name: str) -> None:
        raise EXCEPTIONS[name]("text")


class AsyncDeadly(Deadly):
    """The same in the asyncio loop, and the exits from a task."""

    async def asys_exit(self) -> None:
        sys.exit(3)

    async def akeyboard_interrupt(self) -> None:
        raise KeyboardInterrupt


class Fragile(Plain):
    """Records when it starts, and dies then while the file `flag` exists."""

    def __init__(self, record: str, flag: str) -> None:
        began(record)
        if Path(flag).exists():
            os._exit(3)


class Clumsy(Plain):
    """Raises in its constructor."""

    def __init__(self) -> None:
        raise LookupError("the model is not where it should be")
