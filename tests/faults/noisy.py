"""A handler that makes noise on every channel, when its module is imported and in every call.

Named to the pool as a string: the test's own process never imports it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from typing import Any

LIBC = ctypes.CDLL(None)


def make_noise(name: str) -> None:
    """Write to the standard streams by every road there is, and 1 MB to stderr without an end of line."""
    print(f"noise-print-{name}")
    os.write(1, f"noise-write-{name}\n".encode())
    subprocess.run(["echo", f"noise-echo-{name}"], check=True)
    LIBC.printf(b"noise-printf-%s\n", name.encode())
    LIBC.fflush(None)
    os.write(2, b"x" * 1_000_000)
    os.write(2, f"noise-end-{name}\n".encode())


make_noise("import")


class Noisy:
    """Echoes, noisily."""

    def echo(self, token: Any) -> Any:
        make_noise("call")
        return token
