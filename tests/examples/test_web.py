"""The web applications among the examples, each under uvicorn as a process, with workers of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.needs import need

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 60.0
TEXT = "the pool of the mill: a pool, a mill, a wheel, the pool"
KEY = {"X-Key": "k3y"}


class Web:
    """One application that runs."""

    def __init__(self, process: subprocess.Popen[bytes], base: str, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.client = httpx.Client(base_url=base, timeout=LIMIT_S)

    @property
    def bearer(self) -> dict[str, str]:
        """The token that a mounted application with `auth="token"` made."""
        return {"Authorization": f"Bearer {(self.folder / 'millpond' / 'token').read_text().strip()}"}

    def end(self) -> tuple[int, list[psutil.Process]]:
        """Stop it as an operator does; the exit code, and what is left of its processes."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT_S)
        return code, psutil.wait_procs(family, LIMIT_S)[1]


@contextmanager
def web(name: str, folder: Path, loop: str = "asyncio") -> Iterator[Web]:
    """Start `examples.web.NAME`, wait until it listens, and leave nothing of it."""
    log = folder / "log"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}", "XDG_STATE_HOME": str(folder), "WORDS_KEY": "k3y"}
    environment.pop("STATE_DIRECTORY", None)
    command = [sys.executable, "-m", "uvicorn", f"examples.web.{name}:app", "--port", "0", "--loop", loop]
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=written, stderr=written, start_new_session=True
        )
    try:
        found = until(lambda: re.search(r"running on (http://\S+)", log.read_text()), process)
        running = Web(process, found[1], folder)
        with running.client:
            yield running
    except BaseException:
        print(log.read_text())
        raise
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(LIMIT_S)
    assert "Traceback" not in log.read_text()
    assert "Application shutdown complete" in log.read_text()


def until(holds: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """What `holds` gives as soon as it is true."""
    end = time.monotonic() + LIMIT_S
    while not (found := holds()):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("name", ["words", "fastapi_app", "starlette_app", "litestar_app"])
def test_the_page_shows_what_is_run(name):
    """The examples of the page are these files, to the letter."""
    page = (ROOT / "docs" / "web-frameworks.md").read_text()
    assert f"```python\n{(ROOT / 'examples' / 'web' / f'{name}.py').read_text()}```" in page


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_fastapi_example_does_what_it_says(loop, tmp_path: Path):
    """Its routes, the errors, the mounted API, a client that leaves, and a stop that leaves nothing."""
    need("fastapi")
    with web("fastapi_app", tmp_path, loop) as running:
        client = running.client
        assert client.post("/frequent", json={"text": TEXT, "most": 2}).json() == {"pool": 3, "mill": 2}
        assert client.post("/frequent", json={"text": TEXT, "most": 0}).status_code == 422
        assert client.post("/spelled", json={"text": "a mill pond"}).text == "a\nmill\npond\n"
        late = client.post("/slow", params={"seconds": 30, "deadline": 0.05})
        assert (late.status_code, late.headers["content-type"]) == (504, "application/problem+json")
        assert (late.json()["code"], late.json()["outcome"]) == ("deadline_exceeded", "unknown")
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ready\n"
        assert "millpond_" in client.get("/metrics").text
        check_mounted(client, KEY)
        check_leaving(running)
        assert running.end() == (-signal.SIGTERM, [])  # uvicorn ends by the signal, after its lifespan


def test_the_starlette_example_does_what_it_says(tmp_path: Path):
    """A call, readiness, and the mounted API with tokens."""
    with web("starlette_app", tmp_path) as running:
        assert running.client.post("/frequent", content=TEXT).json() == {"pool": 3, "mill": 2, "wheel": 1}
        assert running.client.get("/readyz").text == "ready\n"
        check_mounted(running.client, running.bearer)
        assert running.end() == (-signal.SIGTERM, [])  # uvicorn ends by the signal, after its lifespan


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_litestar_example_does_what_it_says(loop, tmp_path: Path):
    """A call, readiness, metrics, and the mounted API with tokens."""
    need("litestar")
    with web("litestar_app", tmp_path, loop) as running:
        client = running.client
        assert client.post("/frequent", json={"text": TEXT}).json() == {"pool": 3, "mill": 2, "wheel": 1}
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ready\n"
        metrics = client.get("/metrics")
        assert "millpond_" in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain")
        check_mounted(client, running.bearer)
        assert running.end() == (-signal.SIGTERM, [])  # uvicorn ends by the signal, after its lifespan


def check_mounted(client: httpx.Client, headers: dict[str, str]) -> None:
    """The pool's own API below a prefix: nobody is let in without a key, and addresses have the prefix."""
    call = "/pools/v1/pools/words/call/frequent"
    assert client.post(call, json={"text": TEXT}).status_code == 401
    for _ in range(2):  # the second time the path is known
        answer = client.post(call, json={"text": TEXT}, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"pool": 3, "mill": 2, "wheel": 1})
    document = client.get("/pools/openapi.json", headers=headers).json()
    assert document["servers"] == [{"url": "/pools"}]
    assert "/v1/pools/words/call/frequent" in document["paths"]
    page = client.get("/pools/docs", headers=headers)
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert any(path.endswith(".css") for path in loaded)
    assert [path for path in loaded if not path.startswith("/pools/")] == []
    assert {client.get(path, headers=headers).status_code for path in loaded} == {200}
    assert client.get("/pools/readyz").text == "ready\n"
    assert client.get("/pools/nowhere", headers=headers).status_code == 404


def check_leaving(running: Web) -> None:
    """A client that hangs up while a worker works for it: the call is cancelled."""
    statistics = "/pools/v1/pools/words/statistics"

    def seen() -> Any:
        return running.client.get(statistics, headers=KEY).json()

    before = seen()["endings"]["cancelled"]
    address = running.client.base_url
    with socket.create_connection((address.host, address.port)) as leaving:
        leaving.sendall(b"POST /slow?seconds=50 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        until(lambda: seen()["running"], running.process)
    until(lambda: seen()["endings"]["cancelled"] == before + 1, running.process)
