"""What is written to one worker, and in which order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from millpond.engine import spawner
from millpond.engine.link import Link
from millpond.settings import Settings
from millpond.wire import frames
from millpond.wire.definitions import Definitions
from millpond.wire.frames import FrameReader

LIMIT = 1 << 20


class Rig:
    """A link, the program's definitions, and the frames that reach the worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.definitions = Definitions()
        self.link = Link(SimpleNamespace(id=3), Settings(buffer_bytes=0), LIMIT, loop, self.definitions)
        self._data = self.link.endpoints.theirs()[spawner.DATA]

    def send(self, call_id: int) -> list[Any]:
        """What was written for a call: a frame's kind, or which name got which entry."""
        operation = {"operation": 1, "payload": b"x", "deadline": 9.0, "trace": None, "form": 0, "session": None}
        self.link.send(SimpleNamespace(id=call_id, **operation))
        self.link.outbox.flush()
        return [
            fields[1] if fields[1] != frames.DEFINE else (bytes(body[: fields[4]]), bytes(body[fields[4] :]))
            for fields, body in FrameReader(LIMIT, 3).feed(os.read(self._data, LIMIT))
        ]


@pytest.fixture
def rig() -> Iterator[Rig]:
    loop = asyncio.new_event_loop()
    made = Rig(loop)
    yield made
    made.link.close()
    loop.close()


def test_definitions_go_ahead_of_the_first_call_after_they_changed(rig: Rig) -> None:
    """Each is sent once to each worker: then only what changed, and an empty entry for what is gone."""
    assert rig.send(1) == [frames.CALL]
    f, g = b"entry of f", b"entry of g"
    rig.definitions.newest = {"f": f, "g": g}
    assert sorted(rig.send(2)[:-1]) == [(b"f", f), (b"g", g)]
    assert rig.send(3) == [frames.CALL]
    rig.definitions.newest = {"g": g, "h": b"entry of h"}
    assert sorted(rig.send(4)[:-1]) == [(b"f", b""), (b"h", b"entry of h")]


def test_a_worker_is_not_sent_what_it_was_started_with(rig: Rig) -> None:
    """What is in the plan of its start is not sent again."""
    f = b"entry of f"
    rig.link.defined, rig.definitions.newest = {"f": f}, {"f": f}
    assert rig.send(1) == [frames.CALL]


def test_a_large_definition_comes_before_its_call(rig: Rig) -> None:
    """What is written without being joined keeps its place."""
    large = bytes(100_000)
    rig.definitions.newest = {"f": large}
    assert rig.send(1) == [(b"f", large), frames.CALL]
