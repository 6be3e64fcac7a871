"""Sessions in the worker: what the handler sees of one, and which of them are here.

Being told of a session only records it. It is opened by its first call, under that call's claim, so that the call's
deadline covers the opening hook. Runs no hook itself: `opening` says what there is to run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from millpond.wire.frames import HAS_SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.wire.frames import Body, Fields


class Session:
    """A caller's state, as an operation with a `session` parameter receives it.

    `id` is what the caller named it; `generation` rises when a lost session is opened anew; `state` is a dictionary of
    the handler's, which lives as long as the session and may move to another worker with it; `interrupted` is true if
    the session's last call was interrupted, so that its state may be half changed.
    """

    __slots__ = ("__weakref__", "generation", "id", "interrupted", "state")

    def __init__(self, session_id: str, generation: int) -> None:
        self.id = session_id
        self.generation = generation
        self.state: dict[str, Any] = {}
        self.interrupted = False

    def __repr__(self) -> str:
        return f"<Session {self.id!r}, generation {self.generation}>"


@dataclass(slots=True, eq=False, repr=False)
class SessionSlot:
    """What this worker holds of a session: the session, whether it is open, and the state it brought from elsewhere."""

    number: int
    session: Session
    snapshot: bytes | None
    snapshot_flags: int
    lease: int = 0  # the binding under which it is here; says to the parent how old an answer is
    sent: bytes | None = field(init=False)  # with durability: the state that the parent has
    sent_flags: int = field(init=False)
    differed: bytes = b""  # what of it was sent last, if not all
    is_open: bool = False
    is_simple: bool = False  # open, and a plain operation of it takes nothing but to be run

    def __post_init__(self) -> None:
        self.sent, self.sent_flags = self.snapshot, self.snapshot_flags

    def opened(self, is_simple: bool) -> None:
        """The opening hook, if there is one, came back."""
        self.is_open = True
        self.is_simple = is_simple
        self.snapshot = None


NO_SLOT = SessionSlot(0, Session("", 0), None, 0)  # of calls without a session
NO_SLOT.is_open = NO_SLOT.is_simple = True

Hooks = dict[str, "Callable[..., Any]"]
Hook = tuple["Callable[..., Any]", tuple[Any, ...]]  # a function of the handler's, and its arguments


def slot_of(fields: Fields, body: Body) -> SessionSlot:
    """What an OPEN_SESSION frame tells."""
    flags, head_bytes = fields[2], fields[4]
    if not flags & HAS_SNAPSHOT:
        head_bytes = len(body)
    session_id, generation, lease = msgspec.msgpack.decode(body[:head_bytes])
    snapshot = bytes(body[head_bytes:]) if flags & HAS_SNAPSHOT else None
    return SessionSlot(fields[8], Session(session_id, generation), snapshot, flags & ~HAS_SNAPSHOT, lease)


def opening(slot: SessionSlot, hooks: Hooks, decode: Callable[[Body, int], Any]) -> Hook | None:
    """What has to run before the session is open: `import_session`, `open_session`, or nothing."""
    session = slot.session
    if slot.snapshot is not None:
        state = decode(slot.snapshot, slot.snapshot_flags)
        if "import_session" in hooks:
            return hooks["import_session"], (session, state)
        session.state = state
    elif "open_session" in hooks:
        return hooks["open_session"], (session,)
    return None


def exporting(slot: SessionSlot, hooks: Hooks) -> Hook:
    """What gives the state to be taken elsewhere."""
    return hooks.get("export_session", _state_of), (slot.session,)


def closing(slot: SessionSlot, hooks: Hooks) -> Hook | None:
    """What has to run before the session is forgotten, if it was ever open."""
    if slot.is_open and "close_session" in hooks:
        return hooks["close_session"], (slot.session,)
    return None


def _state_of(session: Session) -> dict[str, Any]:
    return session.state
