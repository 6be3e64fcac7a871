"""Memory shared by two processes without a name anywhere: made here, handed over as a file descriptor.

Sealed where the kernel can, so that the other end cannot shrink it under a mapping (which would be a SIGBUS here).
Comes before `buffers` and `logbook`, which lay their tables out in it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile

PAGE_BYTES = 4096


def create_memory(label: str, nbytes: int) -> int:
    """A new file descriptor of `nbytes` zeros, closed on exec and gone with its last holder."""
    fd = open_nameless(label)
    try:
        os.ftruncate(fd, nbytes)
        if hasattr(os, "memfd_create"):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


class SharedMemory:
    """Nameless memory mapped here: `fd` is what the other end needs (-1 once given up), `mapped` are the bytes."""

    __slots__ = ("fd", "mapped")

    def __init__(self, fd: int, nbytes: int) -> None:
        """Map `fd`, which belongs to this object from now on; raises if it holds less than `nbytes`."""
        try:
            self.mapped = mmap.mmap(fd, nbytes, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd

    def close_fd(self) -> None:
        """Give up the descriptor but keep the memory: for once the other end has it. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """Give up descriptor and memory. Idempotent."""
        self.close_fd()
        self.mapped.close()


def open_nameless(label: str) -> int:
    """A new file descriptor of an empty file without a name, closed on exec."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"millpond-{label}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fd, path = tempfile.mkstemp(prefix=f"millpond-{label}-")
    os.unlink(path)
    return fd
