"""A real Prometheus from the system's package, on loopback and for the length of a test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 40.0
PAUSE_S = 0.1  # between two looks; it scrapes as often
CONFIG = """\
global:
  scrape_interval: 100ms
  scrape_timeout: 100ms
scrape_configs:
  - job_name: millpond
    static_configs:
      - targets: ["127.0.0.1:{target}"]
rule_files: ["rules.yml"]
"""
NEEDED = pytest.mark.skipif(  # where everything is to be tested nothing is left out because it is missing
    not shutil.which("prometheus") and not os.environ.get("CI"), reason="needs Debian's package prometheus"
)
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Prometheus:
    """One server, asked over its HTTP interface."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str) -> Any:
        """What an address of the server says, as text or, of its interface, as data."""
        query = urllib.parse.urlencode(parameters)
        with LOCAL.open(f"{self.address}{path}?{query}", timeout=LIMIT_S) as answer:
            body = answer.read().decode()
        return json.loads(body)["data"] if path.startswith("/api/") else body

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The present value of an expression, by labels."""
        found = self.get("/api/v1/query", query=expression)["result"]
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}

    def value(self, expression: str) -> float | None:
        """The value of an expression with one series, `None` while there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing there."""
        return self.get("/api/v1/alerts")["alerts"]

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so; `AssertionError` if it is not within the limit."""
        end = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < end, self.get("/api/v1/targets")["activeTargets"]
            time.sleep(PAUSE_S)

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/-/ready"))
        except urllib.error.URLError:
            return False


@contextmanager
def prometheus(target: int, directory: Path) -> Iterator[Prometheus]:
    """A server that scrapes a port of this machine; it keeps its files in `directory`, where `rules.yml` may be."""
    config = directory / "prometheus.yml"
    config.write_text(CONFIG.format(target=target))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        open(directory / "log", "wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=directory) as server,
    ):
        try:
            found = Prometheus(port)
            found.until(lambda: server.poll() is not None or found.is_ready())
            assert server.poll() is None, (directory / "log").read_text()
            yield found
        finally:
            server.kill()  # its files go with the test


def free_port() -> int:
    """A port nobody listens on at the moment; the server is not told which one it was given, so it cannot choose."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
