"""Kinds that belong to one process, or would be others in another: who sends them is told. Executed in `__main__`."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import sqlite3
import threading
import types

from tests.faults.corpus.registry import refused

FILE = open(os.devnull, "w")  # noqa: SIM115


def reads():
    return FILE.name


def three():
    yield 1


refused("open file", lambda: open(os.devnull, "w"))  # noqa: SIM115
refused("open file deep inside", lambda: {"a": [types.SimpleNamespace(log=open(os.devnull, "w"))]})  # noqa: SIM115
refused("function that uses an open file", lambda: reads)
refused("lock", threading.Lock)
refused("reentrant lock", threading.RLock)
refused("condition", threading.Condition)
refused("semaphore", lambda: threading.Semaphore(2))
refused("event", threading.Event)
refused("queue", queue.Queue)
refused("generator", three)
refused("thread", lambda: threading.Thread(target=print))
refused("thread pool", lambda: concurrent.futures.ThreadPoolExecutor(1))
refused("future", concurrent.futures.Future)
refused("database connection", lambda: sqlite3.connect(":memory:", check_same_thread=False))
refused("frame", lambda: __import__("sys")._getframe())
