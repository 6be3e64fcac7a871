"""What a worker is given to do before it is given calls: `Warmup`, as a user writes it.

Plain values that are checked when made; the call factory encodes them when the handler is known, the core keeps their
order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from millpond.settings import LONGEST_DEADLINE_S
from millpond.wire.functions import function_name

Kind = Literal["operation", "imports", "run"]
DEADLINE_S = 30.0


class Warmup:
    """One warm-up command: an operation of the handler with its arguments; `imports` and `run` make the other kinds.

    `deadline` is in seconds, from when it is sent to a worker. A worker whose `required` command fails is replaced;
    with `required=False` it serves, and the failure is seen in the statistics. Raises `TypeError` and `ValueError`.
    """

    __slots__ = ("args", "deadline", "kind", "kwargs", "name", "required", "target")

    def __init__(
        self, operation: str, /, *args: Any, deadline: float = DEADLINE_S, required: bool = True, **kwargs: Any
    ) -> None:
        if not isinstance(operation, str) or not operation:
            raise TypeError(f"Warmup takes an operation's name, not {operation!r}; a function goes to Warmup.run()")
        self._fill("operation", operation, operation, args, kwargs, deadline, required)

    @classmethod
    def imports(cls, module: str, /, *, deadline: float = DEADLINE_S, required: bool = True) -> Warmup:
        """Import a module in each worker."""
        if not isinstance(module, str) or not module:
            raise TypeError(f"Warmup.imports takes a module's name, not {module!r}")
        return cls.__new__(cls)._fill("imports", module, f"import {module}", (), {}, deadline, required)

    @classmethod
    def run(
        cls,
        function: Callable[..., Any],
        /,
        *args: Any,
        deadline: float = DEADLINE_S,
        required: bool = True,
        **kwargs: Any,
    ) -> Warmup:
        """Run a plain function in each worker; what it returns is dropped."""
        if not callable(function):
            raise TypeError(f"Warmup.run takes a function, not {function!r}")
        return cls.__new__(cls)._fill("run", function, function_name(function), args, kwargs, deadline, required)

    def _fill(
        self,
        kind: Kind,
        target: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        deadline: float,
        required: bool,
    ) -> Warmup:
        if isinstance(deadline, bool) or not isinstance(deadline, int | float):
            raise TypeError(f"a warm-up's deadline is a number of seconds, not {deadline!r}")
        if not 0 < deadline <= LONGEST_DEADLINE_S:
            raise ValueError(
                f"a warm-up's deadline is above 0 s and at most {LONGEST_DEADLINE_S:g} s, not {deadline!r}"
            )
        self.kind = kind
        self.target = target
        self.name = name
        self.args = args
        self.kwargs = dict(kwargs)
        self.deadline = float(deadline)
        self.required = bool(required)
        return self

    def __repr__(self) -> str:
        return f"<Warmup {self.name}, {self.deadline:g} s{'' if self.required else ', best effort'}>"


def check_commands(commands: Sequence[Any]) -> tuple[Warmup, ...]:
    """The commands of a setting or an argument; raises `TypeError` for what is none."""
    if isinstance(commands, Warmup | str):
        raise TypeError(f"warm-up commands come as a sequence of Warmup, not as {commands!r}")
    for command in commands:
        if not isinstance(command, Warmup):
            raise TypeError(f"a warm-up command is a Warmup, not {command!r}; write Warmup('operation', ...)")
    return tuple(commands)
