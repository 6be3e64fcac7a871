"""A handler whose module makes noise when it is imported, from Python and from C."""

from __future__ import annotations

import ctypes

print("imported loudly")
ctypes.CDLL(None).puts(b"by C as well")


class Noisy:
    """Does nothing."""

    def echo(self, value: object) -> object:
        return value
