"""The clients: wrk, which asks again once it is answered; the open loop, which does not wait; and idle connections."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.http.programs import TOKEN, Server
from benchmarks.http.work import BODY

HERE = Path(__file__).parent
CONNECTIONS = 64


class NoTool(Exception):
    """Something that has to be installed is not."""


def wrk(server: Server, seconds: float, path: str = "", **surroundings: str) -> dict[str, float]:
    """`CONNECTIONS` clients, each with one request at a time; what `parsed` returns."""
    if shutil.which("wrk") is None:
        raise NoTool("wrk is not installed. On Debian: apt-get install wrk")
    url = f"http://127.0.0.1:{server.port}{path or server.program.path}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}", "--latency"]
    done = subprocess.run(
        [*command, "-s", str(HERE / "post.lua"), url],
        env={**os.environ, "BODY": BODY.decode(), "TOKEN": TOKEN, **surroundings},
        capture_output=True,
        text=True,
        check=True,
    )
    return parsed(done.stdout)


def parsed(said: str) -> dict[str, float]:
    """What wrk printed: requests in all and a second, p50 and p99 in ms, and how many had no success."""
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    return {
        "requests": float(_found(r"(\d+) requests in", said)),
        "rate": float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        "p50": milliseconds(_found(r"(?m)^ +50% +(\S+)", said)),
        "p99": milliseconds(_found(r"(?m)^ +99% +(\S+)", said)),
        "failed": float(failed[1] if failed else 0) + sum(map(int, errors.groups() if errors else ())),
    }


def _found(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    if found is None:
        raise ValueError(f"wrk printed no {pattern!r}: {said!r}")
    return found[1]


def milliseconds(told: str) -> float:
    """wrk's way to write a time: 870.00us, 3.10ms, 1.20s."""
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", told).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


@cache
def open_loop_program() -> str:
    """The path of the compiled client."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise NoTool("a C compiler is not installed. On Debian: apt-get install gcc libc6-dev")
    program = Path(tempfile.mkdtemp(prefix="bench-http-"), "open_loop")
    subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "open_loop.c"), "-lm"], check=True)
    return str(program)


def open_loop(server: Server, rate: float, seconds: float, seed: int, connections: int = CONNECTIONS) -> dict[str, Any]:
    """Requests at random times, `rate` a second, whatever the server does; latency in ms from the time each was due."""
    command = [open_loop_program(), str(server.port), str(rate), str(seconds), str(connections), str(seed)]
    done = subprocess.run(command, input=server.request(), capture_output=True, check=True)
    return dict(json.loads(done.stdout))


@contextmanager
def idle_connections(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that were used once and are kept open."""
    request = server.request()
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10.0))
            connection.sendall(request)
            held.append(connection)
            if b" 200 " not in connection.recv(65536).partition(b"\r\n")[0]:
                raise ValueError("a request on a connection that is to idle was not answered")
        yield held


def still_open(held: list[socket.socket]) -> int:
    """How many of the connections the server has not closed."""
    for connection in held:
        connection.setblocking(False)
    return sum(map(_is_open, held))


def _is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
