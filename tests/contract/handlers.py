"""The handlers of the contract: importable by name, and fit to run in the test's own process as well.

Nothing here sleeps for long or ends its process: where a call has to be under way, it stays at a `Gate`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from asyncio import CancelledError
from pathlib import Path
from typing import Any

import millpond


class NoException(BaseException):
    """What no `except Exception` sees."""


class Unsendable:
    """A value that nothing can carry."""

    def __reduce__(self) -> Any:
        raise TypeError("this stays where it is")


def ran(path: str, token: object) -> None:
    """Note that the operation ran."""
    with open(path + ".ran", "a") as file:
        file.write(f"{token}\n")


def is_open(path: str) -> bool:
    """Whether the gate was opened."""
    return os.path.exists(path + ".open")


class Raiser:
    """A value that raises something while it is made into bytes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        raise RAISED[self.name]("made into bytes")


class Shy(Exception):
    """An exception that cannot be asked anything: not its class, its traceback, its text or its cause."""

    def __getattribute__(self, name: str) -> Any:
        raise KeyError(name)

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class Rude:
    """What comes of its operations raises once more where it is handled."""

    def give(self, name: str) -> Raiser:
        return Raiser(name)

    def items(self, name: str) -> Any:
        yield 1
        yield Raiser(name)

    def keep(self, name: str, *, session: Any) -> int:
        session.state["kept"] = Raiser(name)
        return 1

    def fail(self) -> None:
        raise Shy("what nobody may read")

    def fail_late(self) -> Any:
        yield 1
        raise Shy("what nobody may read")

    def pid(self) -> int:
        return os.getpid()


RAISED: dict[str, type[BaseException]] = {
    kind.__name__: kind for kind in (ValueError, SystemExit, KeyboardInterrupt, CancelledError, millpond.Interrupted)
}


class Plain:
    """Plain operations, streams, and sessions."""

    def __init__(self, greeting: str = "hello") -> None:
        self.greeting = greeting

    def greet(self, name: str, /, mark: str = "!", *, loud: bool = False) -> str:
        said = f"{self.greeting} {name}{mark}"
        return said.upper() if loud else said

    def echo(self, value: Any) -> Any:
        return value

    def change(self, value: list[Any]) -> list[Any]:
        value.append("changed")
        return value

    def kind(self, value: Any) -> str:
        return type(value).__name__

    def stay(self, path: str, token: object = 0) -> object:
        """Wait at the gate; come back at once if interrupted."""
        ran(path, token)
        while not is_open(path):
            time.sleep(0.002)
        return token

    def stubborn(self, path: str, token: object = 0) -> object:
        """Wait at the gate, whatever happens."""
        ran(path, token)
        while not is_open(path):
            try:
                time.sleep(0.002)
            except millpond.Interrupted:
                pass
        return token

    def fail(self, text: str) -> None:
        raise ValueError(text)

    def fail_strangely(self, how: str) -> None:
        if how == "no exception":
            raise NoException("out of here")
        if how == "exit":
            raise SystemExit(3)
        if how == "stop":
            raise StopIteration("enough")
        raise millpond.QueueFull("not the pool's own")

    def unsendable(self) -> Any:
        return Unsendable()

    def large(self, nbytes: int) -> bytes:
        return b"x" * nbytes

    def log(self, text: str) -> None:
        logging.getLogger("contract").warning("%s", text)

    def count(self, upto: int) -> Any:
        yield from range(upto)

    def count_and_fail(self, upto: int) -> Any:
        yield from range(upto)
        raise ValueError("in the middle")

    def count_for_ever(self, path: str) -> Any:
        """Items without end; notes each that was made, and that the generator was closed."""
        number = 0
        try:
            while True:
                ran(path, number)
                yield number
                number += 1
        finally:
            Path(path + ".closed").touch()

    def open_session(self, session: Any) -> None:
        if session.id.startswith("cannot open"):
            raise ValueError("no such customer")
        session.state["said"] = []

    def close_session(self, session: Any) -> None:
        if "path" in session.state:
            ran(session.state["path"], f"closed {session.id}")

    def say(self, word: str, *, session: Any) -> list[str]:
        session.state["said"].append(word)
        return list(session.state["said"])

    def remember_path(self, path: str, *, session: Any) -> None:
        session.state["path"] = path

    def stay_and_say(self, path: str, word: str, *, session: Any) -> list[str]:
        self.stay(path, word)
        return self.say(word, session=session)

    def about(self, *, session: Any) -> tuple[str, int, bool]:
        return session.id, session.generation, session.interrupted

    def _private(self) -> str:
        return "nobody's business"

    attribute = "no operation"


class Mixed(Plain):
    """The same with async operations, which puts all of them on the worker's event loop."""

    async def astay(self, path: str, token: object = 0) -> object:
        ran(path, token)
        while not is_open(path):
            await asyncio.sleep(0.002)
        return token

    async def afail(self, text: str) -> None:
        await asyncio.sleep(0)
        raise ValueError(text)

    async def acount(self, upto: int) -> Any:
        for number in range(upto):
            await asyncio.sleep(0)
            yield number

    async def meet(self, path: str, parties: int) -> int:
        """Come back when so many are in here at once."""
        ran(path, "met")
        while len(Path(path + ".ran").read_text().splitlines()) < parties:
            await asyncio.sleep(0.002)
        return parties


class Portable:
    """Sessions that say themselves what moves."""

    def export_session(self, session: Any) -> Any:
        return {"packed": session.state["count"]}

    def import_session(self, session: Any, state: Any) -> None:
        session.state["count"] = state["packed"] + 100

    def count(self, *, session: Any) -> int:
        session.state["count"] = session.state.get("count", 0) + 1
        count: int = session.state["count"]
        return count


class Immovable(Portable):
    """Sessions that cannot leave their worker."""

    def export_session(self, session: Any) -> Any:
        raise RuntimeError("bolted down")


class NeverMade:
    """A handler whose cold start fails."""

    def __init__(self) -> None:
        raise OSError("no model on this machine")


class Forging:
    """Cannot be made, for a reason with its argument and a forged line of a log in it."""

    def __init__(self, argument: str) -> None:
        raise RuntimeError(f"cannot start with {argument}\n2026 CRITICAL forged\x1b[2J\u202e")


class Hooked:
    """A handler that notes which of its hooks ran, and where."""

    ran_in_image = False

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def preload(cls) -> None:
        cls.ran_in_image = True

    def setup(self) -> None:
        ran(self.path, "setup")

    def warmup(self) -> None:
        ran(self.path, "warmup")

    def teardown(self) -> None:
        ran(self.path, "teardown")

    def was_preloaded(self) -> bool:
        return type(self).ran_in_image


def double(number: int) -> int:
    """A plain function."""
    return number * 2
