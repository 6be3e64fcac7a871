"""A real Prometheus for tests: its server on loopback over given samples, and promtool's judgement of files."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UPPER_BOUND_S = 60.0


def promtool(*arguments: str, folder: Path | None = None) -> tuple[int, str]:
    """Exit code and all that was printed."""
    ran = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=UPPER_BOUND_S, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


class Server:
    """A running server that answers instant queries."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"

    def query(self, expression: str, at_ms: int) -> dict[str, Any]:
        """`status`, and `data` or `error`, as the HTTP API has them."""
        body = urllib.parse.urlencode({"query": expression, "time": f"{at_ms / 1000:.3f}"}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", body, timeout=UPPER_BOUND_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False


@contextmanager
def server_over(openmetrics: str, folder: Path) -> Iterator[Server]:
    """A server whose database holds these samples."""
    samples, database = folder / "samples.txt", folder / "database"
    samples.write_text(openmetrics)
    code, told = promtool("tsdb", "create-blocks-from", "openmetrics", str(samples), str(database))
    assert code == 0, told
    with running(folder, {}, database) as server:
        yield server


@contextmanager
def running(folder: Path, configuration: dict[str, Any], database: Path) -> Iterator[Server]:
    """A server with this configuration, ready for queries, gone at the end."""
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(configuration))
    address = f"127.0.0.1:{_free_port()}"
    command = ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={database}"]
    command += [f"--web.listen-address={address}", "--storage.tsdb.retention.time=36500d", "--log.level=error"]
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield _awaited(Server(address), process, folder / "prometheus.log")
        finally:
            process.kill()


def _awaited(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    until = time.monotonic() + UPPER_BOUND_S
    while not server.is_ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
