"""How many connections there may be: what the limit on open files leaves when workers have theirs."""

from __future__ import annotations

import resource
from collections.abc import Iterable

OTHERS = 128  # the program's own: libraries, files, listening sockets, stores, connections on their way out
FOR_EACH_WORKER = 16  # sockets, output, shared memory, and as much again while it is replaced
LEAST = 16  # connections


def raise_limit() -> int:
    """Let the process open as many files as it may, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def most_connections(open_files: int, workers: Iterable[int], asked: int | None) -> int:
    """The connections a server may have at a time beside pools of so many workers at most.

    Raises `ValueError` where that is less than was asked for, or too few to serve.
    """
    kept = OTHERS + FOR_EACH_WORKER * sum(workers)
    left = open_files - kept
    needed = LEAST if asked is None else asked
    if left < needed:
        raise ValueError(
            f"{needed} connections need {needed + kept} open files ({kept} of them for workers and the program); the "
            f"limit is {open_files}: raise it (ulimit -n, LimitNOFILE=), or lower max_workers or limit_connections"
        )
    return left if asked is None else asked
