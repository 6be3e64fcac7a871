"""Whose name is registered with the resource tracker: that of memory made here, not of memory attached to."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from multiprocessing import resource_tracker
IMPORT_BEFORE
from millpond.worker import attaching
attaching.install()
from multiprocessing import shared_memory
assert len(sys.meta_path) == finders

told = []
class Tracker:
    register = staticmethod(lambda name, kind: told.append(("register", name)))
    unregister = staticmethod(lambda name, kind: told.append(("unregister", name)))
shared_memory.resource_tracker._tracker = Tracker

mine = shared_memory.SharedMemory(create=True, size=10)
other = shared_memory.SharedMemory(mine.name)
assert told == [("register", mine._name)], told
other.unlink()
assert told[1:] == [("unregister", mine._name)], told
mine.close(), other.close()

_, fd = None, shared_memory._posixshmem.shm_open("/millpond-test-NUMBER", 66, 0o600)
import os
os.ftruncate(fd, 10)
theirs = shared_memory.SharedMemory("millpond-test-NUMBER")
theirs.unlink()
assert len(told) == 2, told

removed = shared_memory.SharedMemory(create=True, size=10)
kept = shared_memory.SharedMemory(create=True, size=10)
shared_memory._posixshmem.shm_unlink(removed._name)
shared_memory.resource_tracker._forget_the_removed()
assert told[2:] == [("register", removed._name), ("register", kept._name), ("unregister", removed._name)], told
kept.unlink()
"""


@pytest.mark.parametrize("before", ["", "from multiprocessing import shared_memory"])
def test_only_what_was_made_here_is_registered(before, tmp_path):
    """Whether the module was imported before or comes later; what others removed is not told of as left behind."""
    program = PROGRAM.replace("IMPORT_BEFORE", f"finders = len(sys.meta_path)\n{before}")
    program = program.replace("NUMBER", tmp_path.name)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
