"""Each test is a process of its own as far as received functions of `__main__` go."""

from collections.abc import Iterator

import pytest

from millpond.wire import functions, mainglobals


@pytest.fixture(autouse=True)
def main_of_worker() -> Iterator[dict[str, object]]:
    """The globals of the worker's `__main__`."""
    names: dict[str, object] = {"__name__": "__main__"}
    mainglobals.share(mainglobals.Namespace(names))
    functions._arrived.clear()
    yield names
    mainglobals.share(None)
