"""How the stacks of a worker's threads come to its parent: as text that faulthandler writes into a file both have open.

The control thread writes them when a frame on its socket asks for that: it holds the interpreter's lock, so no frame
changes meanwhile, and nothing of the handler's is disturbed. While native code keeps the lock that thread cannot run,
but a signal which it alone takes (all other threads block it) has faulthandler write the same from the signal's
handler, without the lock. That is done for a thread that is waiting for the lock and for no other: written while
another thread runs Python, frames would be read that are being freed, and the worker would crash (tried: after some 800
of such signals). The main thread gets none, as that would break off the system calls of native code; nor has standard
error a part in it, which the handler may have closed or redirected.

What the control thread writes stands between marks that name the request, so that a late answer is not taken for that
of another.
"""

from __future__ import annotations

import re
import signal
import sys

from millpond.wire.shared_memory import open_nameless

# One that no library is known to use. A program that a worker starts inherits that it is blocked, and is sent none.
SIGNAL: int | None = signal.SIGRTMAX - 3 if sys.platform == "linux" else None
MOST_BYTES = 1024 * 1024  # that are read
# Threads of ours, by where they are; and the last line of the main thread's that is of interest
_OURS = re.compile(r'[\\/]millpond[\\/](?:worker[\\/]control_thread|engine[\\/]guard)\.py", line \d+ in ')
_MAIN = re.compile(r'[\\/]millpond[\\/]worker[\\/]main\.py", line \d+ in main$')


def create_file() -> int:
    """A new file for them: a descriptor that is closed on exec, whose place to write is shared with its copies."""
    return open_nameless("stacks")


def begin_mark(number: int) -> bytes:
    """What stands before the answer to a request."""
    return b"\0%d\n" % number


def end_mark(number: int) -> bytes:
    """What stands behind it."""
    return b"\0%d\0" % number


def answer_in(content: bytes, number: int) -> str | None:
    """The complete answer of the control thread to a request, if it is there."""
    _, mark, rest = content.partition(begin_mark(number))
    text, end, _ = rest.partition(end_mark(number))
    return text.decode("ascii", "replace") if mark and end else None


def unasked_in(content: bytes) -> str:
    """What stands before any answer of the control thread: the signal's handler wrote it."""
    return content.partition(b"\0")[0].decode("ascii", "replace")


def shown(text: str) -> str:
    """As it is told: the main thread first; those of ours are left out, and how the process came to be."""
    threads = [part.splitlines() for part in text.strip().split("\n\n")]
    theirs = ["\n".join(_cut(lines)) for lines in threads if not any(map(_OURS.search, lines[1:2]))]
    return "\n\n".join(reversed(theirs)) + "\n"


def _cut(lines: list[str]) -> list[str]:
    end = next((at for at, line in enumerate(lines, 1) if _MAIN.search(line)), len(lines))
    return lines[:end]
