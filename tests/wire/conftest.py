"""Each test is a process of its own as far as received functions of `__main__` go."""

from collections.abc import Iterator

import pytest

from millpond.wire import home


@pytest.fixture(autouse=True)
def _nobody_at_home() -> Iterator[None]:
    yield
    home.HOME.clear()
    home.HOME["__name__"] = "__main__"
    home._received.clear()
