"""A worker's guard: a thread that ends what is left of its image when nobody else does.

The warden ends everything when the program dies, and the program when the warden dies. If both die in the same instant,
each worker ends what it started, whoever carries the image's mark, and itself. Runs in the worker beside the worker
program, which does not know it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time

from millpond.engine import kernel

_OWN_S = 0.1  # for every worker to end its own, before all end each other
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
    while time.monotonic() - begin < (_OWN_S if os.getppid() == warden else _OWN_S + _OTHERS_S):
        _end_own()
        time.sleep(_STEP_S)


def _stand(warden: int, image: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # those are for the main thread
    poll = select.poll()
    poll.register(warden, select.POLLIN)
    poll.poll()
    # All workers of the image do this at once. Each ends its own processes first, while it still adopts their orphans;
    # a worker that is killed too early leaves orphans to nobody who knows them. What escapes both is found by the mark.
    until = time.monotonic() + _OWN_S
    while time.monotonic() < until:
        _end_own()
        time.sleep(_STEP_S)
    until += _OTHERS_S
    while (others := _others(image)) and time.monotonic() < until:
        for pid in others:
            kernel.kill_carrier(pid, image, kernel.IMAGE_ID)
        _end_own()
        time.sleep(_STEP_S)
    kernel.kill(os.getpid())


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
