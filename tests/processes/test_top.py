"""`millpond top` as somebody runs it: on a terminal of its own, before a served pool."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.served import LIMIT_S, NAME, Served

TAKEN, GIVEN_BACK = b"\x1b[?1049h", b"\x1b[?1049l"  # the terminal's other screen
CONTROLS = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[P\]^_][^\x1b\x07]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class Terminal:
    """A terminal of 80 by 24 in which `millpond top` runs."""

    def __init__(self, address: str, **environ: str) -> None:
        self._here, self._there = os.openpty()
        fcntl.ioctl(self._there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self._there)
        self.written = b""
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "millpond.cli", "top", "--url", address],
            stdin=self._there,
            stdout=self._there,
            stderr=self._there,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": path, **environ},
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(LIMIT_S)
        os.close(self._here)
        os.close(self._there)

    def press(self, key: bytes) -> None:
        """What the keyboard sends."""
        os.write(self._here, key)

    def until(self, text: bytes) -> None:
        """Read until this was written, among controls or not."""
        last = time.monotonic() + LIMIT_S
        while text not in self.written and text not in CONTROLS.sub(b"", self.written):
            assert time.monotonic() < last, self.written[-2000:]
            self._read()

    def ended(self) -> int:
        """The exit code, when it has ended."""
        last = time.monotonic() + LIMIT_S
        while self.process.poll() is None:
            assert time.monotonic() < last, self.written[-2000:]
            self._read()
        while self._read():
            pass
        return self.process.returncode

    @property
    def after(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._there)

    def _read(self) -> bool:
        if not select.select([self._here], [], [], 0.05)[0]:
            return False
        self.written += os.read(self._here, 1 << 16)
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served pool."""
    folder: Path = tmp_path_factory.mktemp("served")
    folder.chmod(0o700)
    with Served(folder, NAME, "--min-workers", "1") as served:
        yield served


def end_by(key: bytes | int, shown: Terminal) -> int:
    """The exit code after a key or a signal."""
    if isinstance(key, int):
        shown.process.send_signal(key)
    else:
        shown.press(key)
    return shown.ended()


@pytest.mark.parametrize(
    ("key", "code"), [(b"q", 0), (b"\x03", 130), (signal.SIGTERM, 143)], ids=["q", "Ctrl-C", "SIGTERM"]
)
def test_the_terminal_is_left_as_it_was(server: Served, key: bytes | int, code: int) -> None:
    """However it ends, its screen is taken away and the terminal is set as before."""
    with Terminal(server.address, MILLPOND_TOKEN=server.token) as shown:
        shown.until(b"healthy")
        assert TAKEN in shown.written
        assert end_by(key, shown) == code
        assert GIVEN_BACK in shown.written
        assert b"Traceback" not in shown.written
        assert shown.after == shown.before


def test_what_is_wrong_is_told_before_the_screen_is_taken(server: Served) -> None:
    """A wrong token and a missing server have the exit codes that they have of all commands."""
    for address, code in ((server.address, 4), ("http://127.0.0.1:1", 3)):
        with Terminal(address, MILLPOND_TOKEN=f"mp_{'x' * 43}") as shown:
            assert shown.ended() == code
            assert b"millpond: " in shown.written
            assert TAKEN not in shown.written
