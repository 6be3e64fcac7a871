"""The two ways to start workers, for tests of what has to hold for both.

`make test` runs the forked variant of such a test and `make spawn` the spawned one, which costs an interpreter's start
for each worker. A test that is about spawning itself has one variant and no marker.
"""

from __future__ import annotations

import pytest

METHODS = ["fork", pytest.param("spawn", marks=pytest.mark.spawn)]
both = pytest.mark.parametrize("start_method", METHODS)
