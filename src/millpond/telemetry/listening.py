"""One attached listener: which events it wants, and what its calls took.

Says when a listener has become slow; the bus does the telling and the warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass, field

from millpond.events import Event
from millpond.labels import check_label

Listener = Callable[[Event], object]
Wanted = str | Iterable[str] | None

# A call this long is seen by whoever waits for an answer at that moment: the loop does nothing else meanwhile.
SLOW_CALL_S = 0.05
# A listener that uses up so much of the loop's time is slow too, however short its calls: looked at each time it has
# spent `LOOK_EVERY_S`.
SLOW_SHARE = 0.1
LOOK_EVERY_S = 0.25

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """A listener and what it costs: calls `heard`, the `seconds` they took together, and the slowest of them."""

    id: str
    events: tuple[str, ...] | None  # names and prefixes; None for all
    heard: int
    seconds: float
    slowest: float  # seconds
    slowest_event: str
    is_slow: bool


def check_name(name: object) -> str:
    """The name of an event, or of those below it. Raises `TypeError` or `ValueError` for what can be none."""
    if not isinstance(name, str):
        raise TypeError(f"an event's name is a string, not {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no event's name: words of letters, digits, _ and -, with dots between them")
    return name


def choose(events: Wanted) -> tuple[str, ...] | None:
    """The names and prefixes meant; `None` for all. Raises as `check_name`."""
    if events is None or events == "*":
        return None
    names = [events] if isinstance(events, str) else list(events)
    return None if "*" in names else tuple(check_name(name) for name in names)


@dataclass(slots=True, eq=False, repr=False)
class Listening:
    """A listener, from `attach` to `detach`."""

    id: str
    wanted: InitVar[Wanted]
    listener: Listener
    _looked_at: float  # when its share of the time was looked at
    events: tuple[str, ...] | None = field(init=False)
    is_attached: bool = True  # until it is detached: an event under way may still have it on its list
    is_slow: bool = False
    heard: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_event: str = ""
    _look_at: float = LOOK_EVERY_S  # at how many seconds spent it will be again

    def __post_init__(self, wanted: Wanted) -> None:
        self.id = check_label("a listener's id", self.id)
        self.events = choose(wanted)

    def wants(self, name: str) -> bool:
        """Whether it is to be given events of this name."""
        return self.events is None or any(name == one or name.startswith(f"{one}.") for one in self.events)

    def note(self, name: str, began: float, ended: float) -> str:
        """Take note of one call; returns why the listener counts as slow from now on, or nothing."""
        took = ended - began
        self.heard += 1
        self.seconds += took
        if took > self.slowest:
            self.slowest, self.slowest_event = took, name
        if took > SLOW_CALL_S:
            return self._slow(f"it took {took * 1000:.0f} ms for {name}")
        if self.seconds >= self._look_at:
            share = (self.seconds - self._look_at + LOOK_EVERY_S) / max(ended - self._looked_at, LOOK_EVERY_S)
            self._look_at, self._looked_at = self.seconds + LOOK_EVERY_S, ended
            if share > SLOW_SHARE:
                return self._slow(f"it took {share:.0%} of the time lately")
        return ""

    def _slow(self, why: str) -> str:
        """Told once."""
        is_news, self.is_slow = not self.is_slow, True
        return why if is_news else ""

    def facts(self) -> ListenerFacts:
        """What is known of it now."""
        return ListenerFacts(
            self.id, self.events, self.heard, self.seconds, self.slowest, self.slowest_event, self.is_slow
        )
