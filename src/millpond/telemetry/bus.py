"""Carries events to whoever listens: `attach`, `detach`, `execute`, `span`.

Event objects are built only where `has_listener(name)` says that somebody wants them. A listener that raises is
detached, loudly, and the others still run; a slow one is measured and named. Comes after the core emitted something;
never feeds back into it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, overload

from millpond.events import Event, UserEvent
from millpond.logger.escaping import brief_of
from millpond.logger.pool_logger import PoolLogger
from millpond.seams import RESERVED_EVENTS
from millpond.telemetry.listening import Listener, ListenerFacts, Listening, Wanted, check_name
from millpond.telemetry.spans import Span

NAMES_KEPT = 1024  # names whose listeners are remembered; users' events may have any number of them
REMOVED_KEPT = 64  # listeners detached by force whose reasons are kept

log = PoolLogger("millpond.telemetry")


class _Routes(dict[str, tuple[Listening, ...]]):
    """Event name -> who wants it, made out when a name comes by first; a new one whenever listeners change."""

    def __init__(self, attached: Iterable[Listening]) -> None:
        self._attached = tuple(attached)

    def __missing__(self, name: str) -> tuple[Listening, ...]:
        found = tuple(one for one in self._attached if one.wants(name))
        if len(self) < NAMES_KEPT:
            self[name] = found
        return found


class Bus:
    """The listeners of one pool. They are called on the thread that emits the event: the loop's.

    `execute` and `span` belong on that thread. `attach`, `attach_many` and `detach` may be called from any, because the
    users of a `SyncPool` are on others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock  # monotonic seconds: what listeners and spans are measured by
        self.span_ids = itertools.count(1)
        self.removed: dict[str, str] = {}  # listener id -> why it was detached by force; the last few
        self.removed_count = 0
        self._attached: dict[str, Listening] = {}
        self._routes = _Routes(())
        self._on_change: list[Callable[[], None]] = []
        self._changing = threading.RLock()  # held while listeners come and go; events look at `_routes` only

    # Who listens

    def attach(self, listener_id: str, events: Wanted, listener: Listener) -> None:
        """Call `listener` with every event it asks for, from the next one on.

        `events` is a name (`"worker.gone"`), what comes before a dot in one (`"worker"`), several of these, or `None`
        or `"*"` for all. Raises `ValueError` if the id is taken or something is no name.
        """
        self.attach_many([(listener_id, events, listener)])

    def attach_many(
        self, listeners: Mapping[str, tuple[Wanted, Listener]] | Iterable[tuple[str, Wanted, Listener]]
    ) -> None:
        """Attach all of `{id: (events, listener)}`, or of `(id, events, listener)`, or none; raises as `attach`."""
        if isinstance(listeners, Mapping):
            listeners = [(listener_id, *rest) for listener_id, rest in listeners.items()]
        now = self.clock()
        fresh = [Listening(listener_id, events, listener, now) for listener_id, events, listener in listeners]
        with self._changing:
            attached = dict(self._attached)
            for one in fresh:
                if one.id in attached:
                    raise ValueError(f"a listener {one.id!r} is attached already")
                attached[one.id] = one
            self._change(attached)

    def attach_beside(self, base: str, events: Wanted, listener: Listener) -> str:
        """Attach under an id that is free, and return it: `base`, or with a number behind it; raises as `attach`."""
        with self._changing:
            numbered = (f"{base}-{number}" for number in itertools.count(2))
            free = next(one for one in itertools.chain([base], numbered) if one not in self._attached)
            self.attach(free, events, listener)
        return free

    def detach(self, listener_id: str) -> None:
        """Take a listener off, also in the middle of an event; an unknown id is no error."""
        with self._changing:
            attached = dict(self._attached)
            one = attached.pop(listener_id, None)
            if one is not None:
                one.is_attached = False
                self._change(attached)

    def listeners(self) -> tuple[ListenerFacts, ...]:
        """Who is attached, in order of attachment, and what each has cost so far."""
        return tuple(one.facts() for one in self._attached.values())

    def has_listener(self, name: str) -> bool:
        """Whether anybody wants events of this name: asked before an event is built."""
        return self._routes[name] != ()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after listeners came or went, on the thread that did it: for whoever keeps answers of
        `has_listener`, because even that is too dear several times a call.
        """
        self._on_change.append(callback)

    def _change(self, attached: dict[str, Listening]) -> None:
        self._attached = attached
        self._routes = _Routes(attached.values())
        for callback in self._on_change:
            try:
                callback()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # the others have to know, and whoever attached or raised is not to blame
                log.raised(error, "a callback raised after listeners came or went; it is called again the next time")

    # Saying

    @overload
    def execute(self, event: Event, /) -> None: ...
    @overload
    def execute(
        self, event: str, measurements: Mapping[str, Any] | None = None, metadata: Mapping[str, Any] | None = None, /
    ) -> None: ...
    def execute(
        self,
        event: Event | str,
        measurements: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        /,
    ) -> None:
        """Give an event to everyone who wants it, in order of attachment; on the loop's thread.

        Either an event, or the name, measurements and metadata of one of the program's own, which arrives as
        `UserEvent`. Raises `ValueError` for a name that begins like the pool's own. No listener's exception comes out
        of here.
        """
        if isinstance(event, str):
            if self.has_listener(own_name(event)):
                made = UserEvent(event, measurements=dict(measurements or {}), metadata=dict(metadata or {}))
                self.execute(made)
            return
        for one in self._routes[event.name]:
            if one.is_attached:
                self._notify(one, event)

    def span(self, name: str, /, **metadata: Any) -> Span:
        """A context manager, for `with` and `async with`, that emits `<name>.start` and how it ended.

        `<name>.stop` measures the `seconds`; `<name>.exception` too, names the `error`'s type, and the exception goes
        on. Metadata has the number of the `span` and of its `parent`: the one it was entered in, also in tasks begun
        there. Raises `ValueError` for a name that begins like the pool's own and for metadata of these names.
        """
        return Span(self, own_name(name), metadata)

    def _notify(self, one: Listening, event: Event) -> None:
        began = self.clock()
        try:
            one.listener(event)
        except (KeyboardInterrupt, SystemExit):  # perhaps Ctrl-C, and none of the listener's doing
            raise
        except BaseException as error:  # also a CancelledError: the loop's own work must not be cancelled from here
            self._remove(one, event, error)
        slow = one.note(event.name, began, self.clock())
        if slow:
            log.warning("listener %r is slow and holds up the pool's loop: %s", one.id, slow)

    def _remove(self, one: Listening, event: Event, error: BaseException) -> None:
        with self._changing:
            if self._attached.get(one.id) is one:
                self.detach(one.id)
        self.removed_count += 1
        kept = {name: why for name, why in self.removed.items() if name != one.id}
        kept[one.id] = _brief(error)
        if len(kept) > REMOVED_KEPT:
            del kept[next(iter(kept))]
        self.removed = kept  # a new one each time: other threads read it
        log.raised(error, "listener %r raised on %s and was detached", one.id, event.name)


class HasTelemetry(Protocol):
    """A `Pool` or a `SyncPool`."""

    @property
    def telemetry(self) -> Bus:
        """Where listeners attach."""
        ...


def bus_of(pool: Bus | HasTelemetry) -> Bus:
    """The bus of a pool, or the bus itself."""
    return pool if isinstance(pool, Bus) else pool.telemetry


def own_name(name: object) -> str:
    """A name the program may use. Raises `TypeError` or `ValueError` for what is none or begins like the pool's own."""
    checked = check_name(name)
    if checked.partition(".")[0] in RESERVED_EVENTS:
        taken = ", ".join(sorted(RESERVED_EVENTS))
        raise ValueError(f"{name!r} begins like the pool's own events ({taken}); give yours another name")
    return checked


def _brief(error: BaseException) -> str:
    try:
        return repr(error)
    except BaseException:  # it is a listener's, and so is its `__repr__`
        return brief_of(error)
