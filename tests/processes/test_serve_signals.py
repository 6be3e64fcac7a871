"""Signals to `millpond serve`: not ready at once but alive, running calls finish, the second ends it (row 12)."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.harness import at_most
from tests.processes.served import LIMIT_S, NAME, Served, Waiting, eventually


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def is_ready(server: Served) -> bool:
    """Whether it answers that it is ready, and that it is alive at all."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    with closing(server.connect()) as connection:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200


@pytest.mark.parametrize(("signo", "is_known"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_12_running_calls_finish_within_the_drain(folder, signo, is_known):
    """A signal to the whole group, as Ctrl-C is: not ready at once but alive, calls answered, no worker's traceback."""
    with Served(folder, NAME, "--min-workers", "3", "--max-workers", "3", "--drain", str(LIMIT_S)) as server:
        eventually(lambda: is_ready(server))
        waiting = Waiting(server, folder, 3, is_known=is_known)
        processes = server.descendants()
        os.killpg(server.process.pid, signo)
        eventually(lambda: not is_ready(server))
        assert waiting.end(release=True) == [(200, "done")] * 3
        assert server.process.wait(LIMIT_S) == 0
        assert "Traceback" not in server.said()
        eventually(lambda: not any(one.is_running() and one.status() != "zombie" for one in processes))


def test_12_a_second_signal_ends_it_at_once(folder):
    """Whatever runs, and nothing is left."""
    with Served(folder, NAME, "--max-workers", "1", "--drain", "1000") as server:
        processes = server.descendants()
        waiting = threading.Thread(target=ignore_the_end, args=(server, folder))
        waiting.start()
        eventually((folder / "begun").exists)
        server.process.send_signal(signal.SIGINT)
        eventually(lambda: not is_ready(server))
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(at_most(1.0)) == 130
        waiting.join(LIMIT_S)
        eventually(lambda: not any(one.is_running() and one.status() != "zombie" for one in processes))


def ignore_the_end(server: Served, folder: Path) -> None:
    try:
        server.ask("wait_for", path=str(folder / "never"), begun=str(folder / "begun"))
    except (OSError, http.client.HTTPException):
        pass
