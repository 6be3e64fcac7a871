"""How many connections there may be: what the limit on open files leaves when workers have theirs."""

from __future__ import annotations

import resource
from collections.abc import Iterable

OTHERS = 128  # the program's own: libraries, files, listening sockets, stores, connections on their way out
FOR_EACH_WORKER = 16  # sockets, output, shared memory, and as much again while it is replaced
LEAST, MOST = 16, 10_000  # connections, where nobody says how many


def most_connections(workers: Iterable[int], asked: int | None) -> int:
    """The connections a server may have at a time beside pools of so many workers at most.

    Raises the process's limit on open files as far as that needs and the system lets it. Raises `ValueError` where what
    is left is less than was asked for, or too little to serve.
    """
    kept = OTHERS + FOR_EACH_WORKER * sum(workers)
    open_files = _raised(kept + (MOST if asked is None else asked))
    left = open_files - kept
    needed = LEAST if asked is None else asked
    if left < needed:
        raise ValueError(
            f"{needed} connections need {needed + kept} open files ({kept} of them for workers and the program); the "
            f"limit is {open_files}: raise it (ulimit -n, LimitNOFILE=), or lower max_workers or limit_connections"
        )
    return min(left, MOST) if asked is None else asked


def _raised(wanted: int) -> int:
    """The limit on open files, raised towards what is wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
