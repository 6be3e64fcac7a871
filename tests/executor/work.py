"""Functions that executors run in their workers, importable by name, and the gate at which one of them stays."""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import signal
import time
from pathlib import Path

WAIT_S = 60.0
SET_BY_INITIALIZER = []


def square(number):
    return number * number


def power(base, exponent):
    return base**exponent


def fail(text):
    raise ValueError(text)


def throw(error):
    raise error


def throw_noted(note):
    error = ValueError("text")
    error.add_note(note)
    raise error


class Refuses:
    """Says itself that it cannot be pickled."""

    def __reduce__(self):
        raise pickle.PicklingError("stays where it is")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def square_or_die(number):
    if number == 13:
        die()
    return number * number


def pid_of(_):
    time.sleep(0.001)
    return os.getpid()


def stay(path, token=None):
    """Note the start, and wait until the gate is opened."""
    with open(f"{path}.ran", "a") as file:
        file.write(f"{token}\n")
    while not Path(f"{path}.open").exists():
        time.sleep(0.002)
    return token


def initialize(value):
    SET_BY_INITIALIZER.append(value)


def what_was_set():
    return SET_BY_INITIALIZER


def fail_to_initialize():
    raise OSError("no licence for this machine")


def fail_after_setting_up_logging(path):
    logging.getLogger("concurrent.futures").addHandler(logging.FileHandler(path))
    fail("no licence for this machine")


def ignore_termination():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def fail_and_tell_at_the_end(path):
    atexit.register(lambda: (time.sleep(0.2), Path(path).write_text("told")))
    fail("no licence for this machine")


class Gate:
    """Where `stay` waits."""

    def __init__(self, folder):
        self.path = str(folder / "gate")

    def ran(self):
        file = Path(self.path + ".ran")
        return file.read_text().split() if file.exists() else []

    def wait_entered(self, count=1):
        end = time.monotonic() + WAIT_S
        while len(self.ran()) < count:
            assert time.monotonic() < end
            time.sleep(0.003)

    def open(self):
        Path(self.path + ".open").touch()
