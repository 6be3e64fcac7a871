"""Definitions of the program's `__main__` reach a worker between its calls."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from millpond.wire import mainglobals, mainmodule
from millpond.wire.frames import DEFINE
from millpond.wire.mainglobals import Namespace
from tests.worker.parent import Parent

both = pytest.mark.parametrize("concurrency", [1, 2])


@both
def test_a_name_is_there_for_the_calls_behind_it(
    concurrency: int, parent_of: Callable[..., Parent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In either loop; one without an entry is there no more."""
    scope: dict[str, object] = {}
    monkeypatch.setattr(mainglobals, "here", Namespace(scope))
    monkeypatch.setattr(mainmodule, "_names", set())
    parent = parent_of(concurrency=concurrency)
    parent.frame(DEFINE, b"here" + pickle.dumps(5), operation=4)
    parent.frame(DEFINE, b"gone" + pickle.dumps(5), operation=4)
    parent.frame(DEFINE, b"gone", operation=4)
    call = parent.function(len, "abc")
    parent.serve()
    assert parent.value(call) == 3
    assert scope == {"here": 5}
