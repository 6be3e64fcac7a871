"""Nameless shared memory: seen by every mapping, sealed, and leaving nothing behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from millpond.wire.shared_memory import SharedMemory, create_memory

SEALED = hasattr(os, "memfd_create")


def open_fds() -> int:
    """How many descriptors this process holds."""
    return len(os.listdir("/dev/fd"))


def test_two_mappings_of_one_descriptor_share_their_bytes():
    """What one side writes the other reads."""
    one = SharedMemory(create_memory("test", 8192), 8192)
    other = SharedMemory(os.dup(one.fd), 8192)
    one.mapped[8191] = 42
    assert other.mapped[8191] == 42
    assert bytes(other.mapped[:8191]) == bytes(8191)
    one.close(), other.close()


def test_closing_gives_everything_back_once():
    """The memory outlives its descriptor if only that is given up; a second closing does not close a stranger's."""
    before = open_fds()
    memory = SharedMemory(create_memory("test", 4096), 4096)
    fd = memory.fd
    memory.close_fd()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    memory.mapped[0] = 1
    stranger = os.dup(0)
    memory.close_fd()
    memory.close()
    memory.close()
    os.close(stranger)
    assert memory.mapped.closed
    memory = SharedMemory(create_memory("test", 4096), 4096)
    memory.close()
    assert memory.mapped.closed
    assert open_fds() == before


@pytest.mark.skipif(not SEALED, reason="needs memfd_create")
@pytest.mark.parametrize("size", [0, 4096, 16384])
def test_the_other_end_cannot_change_the_size(size: int):
    """A mapping over a shrunken file would be a SIGBUS in the parent."""
    fd = create_memory("test", 8192)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, size)
    os.close(fd)


def test_the_descriptor_is_not_inherited():
    """Programs that a worker or the parent starts do not get it."""
    fd = create_memory("test", 4096)
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_more_than_there_is_cannot_be_mapped():
    """A wrong size is an error here and not a SIGBUS later, and leaves no descriptor behind."""
    before = open_fds()
    with pytest.raises(ValueError, match="length"):
        SharedMemory(create_memory("test", 4096), 8192)
    assert open_fds() == before


def test_a_size_the_system_refuses_leaves_no_descriptor_behind():
    """The error is the system's own."""
    before = open_fds()
    with pytest.raises((OSError, ValueError)):
        create_memory("test", -1)
    assert open_fds() == before


def test_where_there_is_no_memfd_a_file_without_a_name_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """macOS gets the same memory from a temporary file, which has no name by the time it is handed out."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fd = create_memory("test", 4096)
    memory = SharedMemory(fd, 4096)
    memory.mapped[0] = 1
    assert (list(tmp_path.iterdir()), memory.mapped[0], os.get_inheritable(fd)) == ([], 1, False)
    memory.close()
