"""Durability in the worker: what is sent ahead of each answer of a session, so that the parent can go on from there.

Remembers per session what was sent last. Encodes what it is given; which of the handler's code gives it is `plan`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.wire import saved, segments, sharing
from millpond.wire.codec import CodecError
from millpond.wire.descriptors import OF_ITS_PROCESS
from millpond.wire.frames import SEGMENTED
from millpond.wire.importable import is_importable
from millpond.wire.saved import DIFFERENT, UNCHANGED, UNSAVED, Saved
from millpond.wire.wording import error_text, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.wire.codec import Codec
    from millpond.worker.handler_session import Hooks, SessionSlot

    Exported = tuple[Any, BaseException | None]

SMALLEST = 256  # bytes of a state below which no difference is looked for


class Saver:
    """`uses_hook`: the handler gives the state itself, by `export_session`. `limit` in bytes, as that of an answer."""

    __slots__ = ("_encode", "_is_pickle", "_limit", "uses_hook")

    def __init__(self, codec: Codec, limit: int, hooks: Hooks) -> None:
        self._encode: Callable[[Any], Any] = codec.encode
        self._is_pickle = codec.name == "pickle"
        self._limit = limit
        self.uses_hook = "export_session" in hooks

    def saved(self, slot: SessionSlot, exported: Exported | None = None) -> Saved:
        """What to send of the state a call leaves: `exported` is what came of the hook, if there is one."""
        if exported is None:
            exported = slot.session.state, None
        state, error = exported
        if error is not None:
            return self._unsaved(slot, f"export_session raised {type_name(type(error))}: {error_text(error)}")
        message = self._in_one_piece(slot, state) if self._is_pickle else None
        return self._in_any_way(slot, state) if message is None else message

    def _in_one_piece(self, slot: SessionSlot, state: Any) -> Saved | None:
        """What to send of a state that plain pickling carries; `None` if it does not.

        The codec looks through all of a stream for names that the next worker cannot import, which is most of what
        encoding costs: here only what differs from the state before is looked through.
        """
        try:
            stream = sharing.dumps(state)
        except BaseException:  # what a `__reduce__` raises is no interrupt: none comes where no operation runs
            return None  # the codec has another way, or says what is wrong
        before = slot.sent
        if stream == before and not slot.sent_flags:
            return Saved(slot.lease, UNCHANGED, b"")
        differs = None
        if before is not None and len(stream) >= SMALLEST:
            differs = saved.difference(before, stream, slot.differed)
        changed = stream if differs is None else saved.touched(stream, differs)
        if len(stream) > self._limit or not is_importable(changed):
            return None
        # Noted as sent before it is. What is raised between here and the write ends the worker, so that nobody is left
        # who could take the next difference for one from this state.
        slot.sent, slot.sent_flags = stream, 0
        if differs is None:
            return Saved(slot.lease, 0, stream)
        slot.differed = differs
        return Saved(slot.lease, DIFFERENT, differs)

    def _in_any_way(self, slot: SessionSlot, state: Any) -> Saved:
        try:
            encoded = self._encode(state)
        except CodecError as failure:
            return self._unsaved(slot, f"{failure}: {error_text(failure.__cause__ or failure)}")
        flags = 0
        if type(encoded) is not bytes:
            if encoded.lease is not None:
                return self._unsaved(slot, f"it {OF_ITS_PROCESS}")
            encoded, flags = bytes(segments.joined(encoded)), SEGMENTED
        if len(encoded) > self._limit:
            return self._unsaved(slot, f"it is {len(encoded)} bytes large, max_payload is {self._limit}")
        return self._compared(slot, encoded, flags)

    def unchanged(self, slot: SessionSlot) -> Saved:
        """The call did not get as far as the session."""
        return Saved(slot.lease, UNCHANGED, b"")

    def _compared(self, slot: SessionSlot, state: bytes, flags: int) -> Saved:
        before, flags_before = slot.sent, slot.sent_flags
        if state == before and flags == flags_before:
            return Saved(slot.lease, UNCHANGED, b"")
        slot.sent, slot.sent_flags = state, flags
        if before is not None and len(state) >= SMALLEST:
            differs = saved.difference(before, state)
            if differs is not None:
                return Saved(slot.lease, flags | DIFFERENT, differs)
        return Saved(slot.lease, flags, state)

    def _unsaved(self, slot: SessionSlot, why: str) -> Saved:
        slot.sent = None
        return Saved(slot.lease, UNSAVED, f"its state cannot be saved: {why}".encode(errors="replace")[:4096])
