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
    fd = _open_nameless(label)
    try:
        os.ftruncate(fd, nbytes)
        _seal(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def map_memory(fd: int, nbytes: int) -> mmap.mmap:
    """`fd` as shared, writable memory; raises `ValueError` if it holds less than `nbytes`."""
    return mmap.mmap(fd, nbytes, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def _open_nameless(label: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"millpond-{label}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fd, path = tempfile.mkstemp(prefix=f"millpond-{label}-")
    os.unlink(path)
    return fd


def _seal(fd: int) -> None:
    if hasattr(os, "memfd_create"):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
