"""A handler whose sessions soil their process in every way the row names, and tell what they find of others."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from typing import Any

from tests.faults.handlers import Plain

STAIN = "clean"
KEPT: list[Any] = []


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


class Isolated(Plain):
    """Soils and looks."""

    def soil(self, *, session: Any) -> int:
        global STAIN
        STAIN = "soiled"
        os.environ["FAULTS_STAIN"] = "soiled"
        os.chdir("/")
        os.umask(0o077)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        threading.Thread(target=time.sleep, args=(300,), name="stain", daemon=True).start()
        KEPT.append(tempfile.TemporaryFile(prefix="faults-stain"))  # noqa: SIM115 - left open on purpose
        return os.getpid()

    def look(self, *, session: Any) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "global": STAIN,
            "environment": os.environ.get("FAULTS_STAIN"),
            "cwd": os.getcwd(),
            "umask": _umask(),
            "handler": signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
            "threads": sorted(thread.name for thread in threading.enumerate() if thread.name == "stain"),
            "files": len(KEPT),
        }
