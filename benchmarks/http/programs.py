"""The servers: how each is started, told to be ready, looked at and stopped. None knows what is measured."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.http.work import BODY

ROOT = Path(__file__).parent.parent.parent
READY_S = 40.0
STOP_S = 15.0
TOKEN = "mp_" + secrets.token_urlsafe(32)

MILLPOND, MOSEC, LITSERVE = "millpond serve", "mosec", "LitServe"
BATCHED, FASTAPI, BARE = "mosec, batches", "FastAPI and Pool", "bare ASGI, uvicorn"


@dataclass(frozen=True)
class Program:
    """A server's command, with PORT for its port, and the path that answers."""

    name: str
    command: tuple[str, ...]
    path: str = "/classify"
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_options(self, name: str, *options: str, path: str = "", **headers: str) -> Program:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return Program(name, (*self.command, *options), path or self.path, {**self.headers, **named})


def module(name: str, *arguments: str) -> tuple[str, ...]:
    return ("-m", f"benchmarks.http.servers.{name}", "PORT", *arguments)


SERVE = Program(
    MILLPOND,
    (
        *("-m", "millpond.cli", "serve", "benchmarks.http.work:Classifier"),
        *("--port", "PORT", "--min-workers", "2", "--max-workers", "2"),
    ),
    "/v1/pools/default/call/classify",
)
PROGRAMS = (
    SERVE,
    Program(MOSEC, module("mosec")),
    Program(BATCHED, module("mosec", "16", "1")),
    Program(LITSERVE, module("litserve", "2")),
    Program(FASTAPI, module("fastapi")),
    Program(BARE, module("bare")),
)


class NotReady(Exception):
    """A server that does not answer as it should."""


class Server:
    """A program that runs, in a process group of its own; `with` starts and stops it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}", **program.headers}

    def __enter__(self) -> Self:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{self.program.path}"
        self._folder = tempfile.TemporaryDirectory(prefix="bench-http-")
        self._log = open(Path(self._folder.name, "log"), "w+b")  # closed with the server
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": self._folder.name,
            "MILLPOND_TOKEN": TOKEN,
        }
        command = [sys.executable, *(str(self.port) if part == "PORT" else part for part in self.program.command)]
        self._child = subprocess.Popen(
            command, cwd=ROOT, env=surroundings, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.process = psutil.Process(self._child.pid)
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_ready(self) -> None:
        until = time.monotonic() + READY_S
        while (answer := self.ask()) != 200:
            if time.monotonic() > until or self._child.poll() is not None:
                raise NotReady(f"{self.program.name} answers {answer or 'nothing'}: {self._said()}")
            time.sleep(0.1)

    def ask(self) -> int:
        """The status of one answer; 0 for none."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, BODY, self.headers), timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-1000:]

    def request(self, path: str = "") -> bytes:
        """A whole request, as it is written to a socket."""
        head = [f"POST {path or self.program.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*head, f"Content-Length: {len(BODY)}", "", ""]).encode() + BODY

    def cpu_s(self) -> float:
        """Processor time of the process that clients talk to."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def tree_cpu_s(self) -> float:
        """Processor time of all its processes that are there."""
        found = 0.0
        for one in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                found += sum(one.cpu_times()[:2])
        return found

    def rss_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6

    def terminate(self) -> float:
        """Seconds from SIGTERM to its exit."""
        began = time.monotonic()
        self._child.terminate()
        self._child.wait(STOP_S)
        return time.monotonic() - began

    def stop(self) -> None:
        """End it and all it started."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, kind)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(3.0)
        self._log.close()
        self._folder.cleanup()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
