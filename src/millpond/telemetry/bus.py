"""Carries events to whoever listens: `attach`, `detach`, `execute`.

Event objects are built only where `has_listener(name)` says that somebody wants them. A listener that raises is detached,
loudly, and the others still run. Comes after the core said something; never feeds back into it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from millpond.events import Event

Listener = Callable[[Event], None]
log = logging.getLogger("millpond.telemetry")


@dataclass(frozen=True, slots=True)
class _Attached:
    listener: Listener
    events: str | None

    def wants(self, name: str) -> bool:
        return self.events is None or name == self.events or name.startswith(f"{self.events}.")


class Bus:
    """The listeners of one pool."""

    def __init__(self) -> None:
        self._attached: dict[str, _Attached] = {}
        self._heard: dict[str, bool] = {}  # event name -> whether anybody wants it; emptied when listeners change
        self.removed: dict[str, str] = {}  # listener id -> why it was detached by force

    def attach(self, listener_id: str, events: str | None, listener: Listener) -> None:
        """Call `listener` with every event whose name is `events` or begins with it and a dot; `None` for all.

        Raises `ValueError` if the id is taken.
        """
        if listener_id in self._attached:
            raise ValueError(f"a listener {listener_id!r} is attached already")
        self._attached[listener_id] = _Attached(listener, events)
        self._heard.clear()

    def detach(self, listener_id: str) -> None:
        """Take a listener off; an unknown id is no error."""
        self._attached.pop(listener_id, None)
        self._heard.clear()

    def has_listener(self, name: str) -> bool:
        """Whether anybody wants events of this name."""
        heard = self._heard.get(name)
        if heard is None:
            heard = self._heard[name] = any(one.wants(name) for one in self._attached.values())
        return heard

    def execute(self, event: Event) -> None:
        """Give an event to everyone who wants it."""
        for listener_id, one in list(self._attached.items()):
            # A listener may have taken this one off a moment ago.
            if one.wants(event.name) and self._attached.get(listener_id) is one:
                self._tell(listener_id, one, event)

    def _tell(self, listener_id: str, one: _Attached, event: Event) -> None:
        try:
            one.listener(event)
        except Exception as error:
            self.detach(listener_id)
            self.removed[listener_id] = repr(error)
            log.exception("listener %r raised on %s and was detached", listener_id, event.name)
