"""A fixture that makes parents and gives back what they hold."""

from __future__ import annotations

import pytest

from tests.worker.parent import Parent


@pytest.fixture
def parent_of():
    """Makes a `Parent` of a handler's worker; closed when the test ends."""
    parents: list[Parent] = []

    def make(handler=None, **config):
        parents.append(Parent(handler, **config))
        return parents[-1]

    yield make
    for parent in parents:
        parent.close()
