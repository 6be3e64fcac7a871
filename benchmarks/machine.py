"""The facts about machine and software that a result is worthless without; no names of hosts, no paths."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("cloudpickle", "loky", "millpond", "mpire", "msgspec", "numpy", "pebble", "scikit-learn")


def facts(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "load_before": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
