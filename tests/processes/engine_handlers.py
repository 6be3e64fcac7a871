"""Handlers for tests of the engine, to be imported by the warden."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

GRANDCHILD = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(300)"


class Plain:
    """Echoes, waits, writes, and dies in several ways."""

    def __init__(self, *args: Any) -> None:
        self._args = args

    def echo(self, value: Any) -> Any:
        return value

    def pid(self) -> int:
        return os.getpid()

    def born_in(self) -> int:
        """Where the first argument was unpickled."""
        return int(self._args[0].pid)

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def spin(self) -> None:
        """Keep the interpreter busy."""
        while True:
            pass

    def wait_for(self, path: str) -> bool:
        """Wait until a file appears; another one says that the wait began."""
        Path(f"{path}.begun").touch()
        while not os.path.exists(path):
            time.sleep(0.005)
        return True

    def note_urgent(self) -> bool:
        """Whether SIGURG comes."""
        came = threading.Event()
        signal.signal(signal.SIGURG, lambda *_: came.set())
        return came.wait(10)

    def request(self) -> int:
        """What the logbook asks of this call, once it asks something."""
        program: Any = self._program  # type: ignore[attr-defined]
        while not (asked := program.logbook.request(program.now.position)):
            time.sleep(0.005)
        return int(asked)

    def heard(self) -> Any:
        """The frames that came so far, and the sessions."""
        program: Any = self._program  # type: ignore[attr-defined]
        return [frame[0] for frame in program.frames], program.sessions

    def write(self, fd: int, text: bytes, times: int = 1) -> None:
        for _ in range(times):
            os.write(fd, text)

    def exit(self, code: int) -> None:
        os._exit(code)

    def grandchild(self, environment: dict[str, str] | None = None) -> int:
        """A process that left the worker's session."""
        child = subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdout=subprocess.PIPE, env=environment)
        assert child.stdout is not None
        return int(child.stdout.readline())

    def descriptors(self) -> dict[str, str]:
        return descriptors()

    def child_descriptors(self) -> dict[str, str]:
        """The descriptors of a program started here without closing any."""
        code = "from tests.processes.engine_handlers import descriptors; print(descriptors())"
        done = subprocess.run([sys.executable, "-c", code], close_fds=False, capture_output=True, text=True, check=True)
        found: dict[str, str] = ast.literal_eval(done.stdout)
        return found

    def close_everything(self) -> None:
        """As careless code does."""
        os.closerange(3, 256)
        time.sleep(60)

    def signals(self) -> list[str]:
        return [str(signal.getsignal(signo)) for signo in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)]

    def blocked(self) -> int:
        """How many signals are blocked here."""
        return len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def surroundings(self) -> tuple[int, int, str]:
        return os.getsid(0), os.getppid(), os.readlink("/proc/self/fd/0")


class Forger(Plain):
    """Sends frames that no correct worker sends."""

    def forge(self, kind: int, body: bytes = b"", flags: int = 0, sender: int | None = None, call: int = 0) -> None:
        program: Any = self._program  # type: ignore[attr-defined]
        program.send(kind, body, flags, program.now.position, call or program.now.call_id, sender)

    def forge_size(self, size: int) -> None:
        """A header that announces more than is allowed."""
        program: Any = self._program  # type: ignore[attr-defined]
        from millpond.wire import frames

        program.socket.sendall(frames.pack(size, frames.OK, 0, 0, 0, 0, program.config["incarnation"], 1, 0, 0.0, 0.0))

    def forge_part(self, size: int, part: int) -> None:
        """The first bytes of a frame, and nothing behind them."""
        program: Any = self._program  # type: ignore[attr-defined]
        from millpond.wire import frames

        header = frames.pack(size, frames.OK, 0, 0, 0, 0, program.config["incarnation"], 1, 0, 0.0, 0.0)
        program.socket.sendall((header + b"x" * size)[:part])
        time.sleep(60)

    def last_words(self, body: bytes) -> None:
        """Answer, then die at once."""
        from millpond.wire import frames

        program: Any = self._program  # type: ignore[attr-defined]
        program.reply(frames.OK, body)
        os.kill(os.getpid(), signal.SIGKILL)


class Preloading(Plain):
    """Makes something in the warden."""

    made_in = 0

    @classmethod
    def preload(cls) -> None:
        cls.made_in = os.getpid()

    def origin(self) -> tuple[int, int]:
        return self.made_in, os.getppid()


class Helped(Plain):
    """Its image comes with a process of its own, which all workers may use."""

    helper = 0

    @classmethod
    def preload(cls) -> None:
        cls.helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid

    def helper_pid(self) -> int:
        return self.helper


class Threaded(Plain):
    """Leaves a thread behind in the image."""

    @classmethod
    def preload(cls) -> None:
        threading.Thread(target=time.sleep, args=(300,), name="sleeper", daemon=True).start()


class Stuck(Plain):
    """Its preload does not end."""

    @classmethod
    def preload(cls) -> None:
        print("loading for ever", flush=True)
        time.sleep(300)


class Crashing(Plain):
    """Its preload takes the process with it."""

    @classmethod
    def preload(cls) -> None:
        print("about to crash", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)


class Failing(Plain):
    """Its preload raises."""

    @classmethod
    def preload(cls) -> None:
        raise LookupError("no model here")


class SlowToFork(Plain):
    """Each fork of its image takes a while."""

    @classmethod
    def preload(cls) -> None:
        os.register_at_fork(before=lambda: time.sleep(0.3))


class FailsLater(Plain):
    """Its preload works once."""

    @classmethod
    def preload(cls) -> None:
        marker = Path(os.environ["MARKER"])
        if marker.exists():
            raise LookupError("the model is gone")
        marker.touch()


class BornWhere:
    """An argument that knows the process it was unpickled in."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def __reduce__(self) -> Any:
        return BornWhere, ()


def descriptors() -> dict[str, str]:
    """The open descriptors of this process, and what they are."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found
