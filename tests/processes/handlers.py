"""Handlers for tests of real processes; importable, so that they travel by name."""

import logging
import os
import random
import resource
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import millpond


class Adder:
    """Small operations, and ways to be slow or dead."""

    def add(self, a: int, b: int) -> int:
        return a + b

    def give(self, value: Any) -> Any:
        return value

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def leave(self, code: int) -> None:
        os._exit(code)

    def count(self, n: int) -> Iterator[int]:
        yield from range(n)


class Surroundings:
    """Tells what its worker is surrounded by."""

    def about(self, variable: str) -> dict[str, Any]:
        return {
            "variable": os.environ.get(variable),
            "cwd": os.getcwd(),
            "nice": os.nice(0),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "cores": sorted(os.sched_getaffinity(0)),
            "omp": os.environ.get("OMP_NUM_THREADS"),
            "stdin": os.readlink("/proc/self/fd/0"),
        }

    def draw(self) -> tuple[float, float]:
        import numpy

        return random.random(), float(numpy.random.random())

    def log(self, text: str) -> None:
        logging.getLogger("tests.handler").warning("%s", text)


class WithPool:
    """Has a pool of its own, whose worker starts a helper that leaves its session."""

    def setup(self) -> None:
        self.pool = millpond.SyncPool(Helped, max_workers=1)
        self.pool.open()

    def family(self) -> list[int]:
        return [os.getppid(), os.getpid(), *self.pool.call("family")]


class Helped:
    def family(self) -> list[int]:
        helper = subprocess.Popen(["sleep", "300"], start_new_session=True)
        return [os.getppid(), os.getpid(), helper.pid]
