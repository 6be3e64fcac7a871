"""A worker's guard: a thread that ends what is left of its image when nobody else does.

The warden ends everything when the program dies, and the program when the warden dies. If both die in the same instant,
each worker ends what it started, what the others started, whoever carries the image's mark, and itself. Runs in the
worker beside the worker program, which does not know it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time

from millpond.engine import kernel

_OWN_S = 0.1  # for every worker to end its own, before all look at each other
_OTHERS_S = 2.0  # then for these; what cannot be killed is left
_STEP_S = 0.005


def start(warden: int) -> None:
    """Begin to watch the warden. Without a descriptor that shows its end this process just dies with it."""
    image, watch = os.environ.get(kernel.IMAGE_ID, "").rpartition("/")[2], kernel.watch(warden)
    if watch is None or not image:
        return
    threading.Thread(target=_stand, args=(watch, image), name="millpond-guard", daemon=True).start()
    # The guard needs the interpreter's lock, which native code may hold for ever: the system ends this process a second
    # after the warden's death, whatever it does.
    kernel.end_soon_with_parent()


def finish(warden: int) -> None:
    """Called by a worker that leaves because its program is gone: end what it started, while it still adopts orphans.

    Where the warden is dead, too, or dies meanwhile, this process stays for its guard, which ends it at last.
    """
    begin = time.monotonic()
    _end_own()  # once at least, however late the system lets this process go on
    while time.monotonic() - begin < (_OWN_S if os.getppid() == warden else _OWN_S + _OTHERS_S):
        time.sleep(_STEP_S)
        _end_own()


def _stand(warden: int, image: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # those are for the main thread
    poll = select.poll()
    poll.register(warden, select.POLLIN)
    poll.poll()
    # All workers of the image do this at once. Each ends its own processes first, then those of the others: one that is
    # stopped, or is given no processor, ends nothing by itself.
    until = time.monotonic() + _OWN_S
    while time.monotonic() < until:
        _end_own()
        time.sleep(_STEP_S)
    _end_others(image)
    kernel.kill(os.getpid())


def _end_others(image: str) -> None:
    """Kill what is below any of the workers, this one included, and when nothing of that lives the other workers."""
    until, patience = time.monotonic() + _OTHERS_S, kernel.BELOW_ROUNDS
    while time.monotonic() < until:
        others = _others(image)
        has_below, patience = kernel.kill_below([os.getpid(), *others]), patience - 1
        if not has_below and not others:
            return
        if not has_below or patience <= 0:
            # The stopped first: of two guards that kill each other none may be left who would have come to them.
            for pid in sorted(others, key=kernel.is_stopped, reverse=True):
                kernel.kill_carrier(pid, image, kernel.IMAGE_ID)
        _end_own()
        time.sleep(_STEP_S)


def _others(image: str) -> list[int]:
    """Whoever carries the mark, but for resource trackers: those end by themselves when all others are dead."""
    return [pid for pid in kernel.carriers(image, kernel.IMAGE_ID) if not kernel.is_tracker(pid)]


def _end_own() -> None:
    """Kill the children of all threads; theirs are adopted."""
    for pid in kernel.children_of_all_threads():
        if not kernel.is_tracker(pid):
            kernel.kill(pid)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
