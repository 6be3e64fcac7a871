"""The sign of life: a thread that writes the time into the logbook as long as this interpreter runs Python.

It says nothing while native code holds the interpreter's lock, which is how the parent tells such a worker from others.
"""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.wire.logbook import Logbook

BEAT_S = 0.5


def start_heartbeat(logbook: Logbook) -> None:
    """Beat twice a second from now on."""
    logbook.beat(monotonic())
    threading.Thread(target=_beat, args=(logbook,), name="millpond-heartbeat", daemon=True).start()


def _beat(logbook: Logbook) -> None:
    while True:
        sleep(BEAT_S)
        logbook.beat(monotonic())
