"""`millpond serve` as a process of its own, seen from outside; whatever happens, it is dead afterwards."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

LIMIT_S = 60.0  # for anything that should come soon
CALL = "/v1/pools/{}/call/{}"


class Handler:
    """What the tests serve."""

    def echo(self, text: str) -> str:
        """The text."""
        return text

    def pid(self) -> int:
        """The worker's process."""
        return os.getpid()

    def environment(self) -> dict[str, str]:
        """The worker's environment."""
        return dict(os.environ)

    def touch(self, path: str) -> None:
        """Make a file."""
        Path(path).touch()

    def wait_for(self, path: str, begun: str = "") -> str:
        """Wait until there is a file; make another first."""
        if begun:
            Path(begun).touch()
        while not Path(path).exists():
            time.sleep(0.01)
        return "done"

    def bombed(self, text: str = "", number: int = 0, rest: Any = None) -> None:
        """Note that this was called."""
        Path("bombed").touch()

    def gated(self, path: str) -> Iterator[int]:
        """A number, and another as soon as there is a file."""
        yield 1
        self.wait_for(path)
        yield 2


NAME = f"{__name__}:Handler"


class Served:
    """A running server."""

    def __init__(self, folder: Path, *arguments: str, port: bool = True, **popen: Any) -> None:
        self.folder = folder
        environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        environment |= popen.pop("env", {})
        command = [sys.executable, "-m", "millpond.cli", "serve", *arguments]
        if port:
            command += ["--port", "0"]
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                popen.pop("command", command),
                stdin=subprocess.DEVNULL,
                stdout=popen.pop("stdout", subprocess.PIPE),
                stderr=log,
                env=environment,
                cwd=folder,
                start_new_session=True,
                **popen,
            )
        self.line = ""
        self.address = ""

    def __enter__(self) -> Served:
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().decode()
        found = re.search(r" at (\S+?)(?:,| |$)", self.line)
        assert found, f"{self.line!r} {self.said()}"
        self.address = found[1]
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def said(self) -> str:
        """What it wrote to its log."""
        return self.log.read_text()

    def end(self, *signals: int) -> int:
        """Send signals, wait for the end, and return the exit code."""
        for signo in signals:
            self.process.send_signal(signo)
        return self.process.wait(LIMIT_S)

    @property
    def token(self) -> str:
        """The token it made."""
        return (self.folder / "state" / "millpond" / "token").read_text().strip()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    def connect(self) -> http.client.HTTPConnection:
        """A connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)

    def ask(self, operation: str, pool: str = "default", /, *, token: str = "", **arguments: Any) -> tuple[int, Any]:
        """Status and answer of a call on a connection of its own."""
        with closing(self.connect()) as connection:
            return told(connection, token or self.token, operation, pool, **arguments)

    def call(self, operation: str, pool: str = "default", /, **arguments: Any) -> Any:
        """What an operation answers."""
        status, answer = self.ask(operation, pool, **arguments)
        assert status == 200, answer
        return answer

    def descendants(self) -> list[psutil.Process]:
        """The wardens and workers."""
        return psutil.Process(self.process.pid).children(recursive=True)


def told(
    connection: http.client.HTTPConnection, token: str, operation: str, pool: str = "default", /, **arguments: Any
) -> tuple[int, Any]:
    """Status and answer of a call on a connection, which stays open."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", CALL.format(pool, operation), json.dumps(arguments), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def eventually(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    last = time.monotonic() + LIMIT_S
    while not (found := holds()):
        assert time.monotonic() < last
        time.sleep(0.01)
    return found


class Load:
    """Clients that call again and again, on connections they keep until they are told that those end."""

    def __init__(self, connect: Callable[[], http.client.HTTPConnection], token: str, clients: int = 8) -> None:
        self._connect = connect
        self._token = token
        self.answered = 0
        self.failures: list[object] = []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()

    def goes_on(self, more: int = 100) -> None:
        """Wait until so many calls more are answered."""
        goal = self.answered + more
        eventually(lambda: self.answered >= goal or self.failures)

    def _run(self, number: int) -> None:
        connection = self._connect()
        while not self._ends.is_set():
            text = f"{number}-{self.answered}"
            try:
                status, answer = told(connection, self._token, "echo", text=text)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                return
            if (status, answer) != (200, text):
                self.failures.append((status, answer))
            self.answered += 1
        connection.close()


class Waiting:
    """Calls that run until a file is there."""

    def __init__(self, server: Served, folder: Path, calls: int, *, is_known: bool = False) -> None:
        if is_known:  # an operation that was called before takes a shorter way
            server.call("wait_for", path=str(folder))
        self.answers: list[tuple[int, Any]] = []
        self._release = folder / "release"
        begun = [folder / f"begun-{number}" for number in range(calls)]
        self._threads = [threading.Thread(target=self._call, args=(server, one)) for one in begun]
        for thread in self._threads:
            thread.start()
        eventually(lambda: all(one.exists() for one in begun))

    def _call(self, server: Served, begun: Path) -> None:
        self.answers.append(server.ask("wait_for", path=str(self._release), begun=str(begun)))

    def end(self, *, release: bool) -> list[tuple[int, Any]]:
        """Let them end, or wait until they are ended."""
        if release:
            self._release.touch()
        for thread in self._threads:
            thread.join(LIMIT_S)
        return self.answers


def refused(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a server that does not come up."""
    server = Served(folder, *arguments, port=False, env=environment)
    try:
        return server.process.wait(LIMIT_S), server.said()
    finally:
        server.__exit__()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Files of a certificate for `localhost` and of its key."""
    made = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(command, check=True, capture_output=True)
    return made


def sockets_of(process: psutil.Process) -> set[str]:
    """The sockets a process has, as the kernel names them."""
    found = set()
    for one in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            target = os.readlink(one)
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def serving_sockets(server: Served) -> set[str]:
    """Those of a server that are of TCP: its listening ones and its connections."""
    ours = sockets_of(psutil.Process(server.process.pid))
    lines = Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()[1:]
    return ours & {f"socket:[{line.split()[9]}]" for line in lines}


def tls_context(path: Path, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    """What a client needs to believe a certificate."""
    context = ssl.create_default_context(cafile=str(path))
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def listening(family: int = socket.AF_INET) -> socket.socket:
    """A socket that another program keeps."""
    kept = socket.socket(family)
    kept.bind(("127.0.0.1", 0))
    kept.listen(1024)
    return kept
