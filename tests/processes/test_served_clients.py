"""Clients of `millpond serve` as a process: restarts, ends, TLS, sockets, and tokens found where they are kept."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import millpond
from tests.contract.sites import check
from tests.processes.served import LIMIT_S, NAME, Served, certificate, eventually, listening


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def failed(call, *args, **kwargs):
    with pytest.raises(millpond.PoolError) as told:
        call(*args, **kwargs)
    return told.value


class Callers:
    """Threads that call again and again through one client."""

    def __init__(self, client, threads=4):
        self.client = client
        self.answered = 0
        self.failures = []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def goes_on(self, more=200):
        goal = self.answered + more
        eventually(lambda: self.answered >= goal or self.failures)

    def _run(self, number):
        while not self._ends.is_set():
            text = f"{number}-{self.answered}"
            try:
                if self.client.call("echo", text=text) != text:
                    self.failures.append(text)
                self.answered += 1
            except millpond.PoolError as error:
                self.failures.append(error)
                time.sleep(0.01)


def test_a_restart_behind_a_kept_socket_fails_no_call(folder):
    """Not one of a client's calls, none of which may be repeated."""
    with listening() as kept:
        options, fds = (NAME, "--min-workers", "1", "--fd", str(kept.fileno())), (kept.fileno(),)
        with Served(folder, *options, port=False, pass_fds=fds) as server:
            client = millpond.SyncClient(f"http://127.0.0.1:{kept.getsockname()[1]}", token=server.token)
            with client, Callers(client) as callers:
                callers.goes_on()
                assert server.end(signal.SIGTERM) == 0
                with Served(folder, *options, port=False, pass_fds=fds) as after:
                    callers.goes_on()
                    after.process.send_signal(signal.SIGHUP)
                    callers.goes_on()
                    callers.__exit__()
            assert callers.failures == []


def test_a_client_outlives_its_server(folder):
    """Calls are answered or told meanwhile, and when a server is there again, the same client goes on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with Served(folder, NAME, "--port", port, port=False) as server:
        client = millpond.SyncClient(server.address, token=server.token).open()
        with Callers(client) as callers:
            callers.goes_on()
            assert server.end(signal.SIGTERM) == 0
            eventually(lambda: callers.failures)
        assert {error.code for error in callers.failures} <= {"unreachable", "pool_closing", "pool_closed"}
    with client, Served(folder, NAME, "--port", port, port=False):
        assert client.options(idempotent=True).call("echo", text="again") == "again"


def test_a_server_that_is_killed_leaves_its_running_calls_in_doubt(folder):
    """They may have run; the error says that nobody knows."""
    with Served(folder, NAME) as server, millpond.SyncClient(server.address, token=server.token) as client:
        told = []

        def call():
            told.append(failed(client.call, "wait_for", path=str(folder / "never"), begun=str(folder / "begun")))

        thread = threading.Thread(target=call)
        thread.start()
        eventually((folder / "begun").exists)
        server.end(signal.SIGKILL)
        thread.join(LIMIT_S)
        check(told[0], "unreachable", "unknown")
        check(failed(client.call, "echo", text="a"), "unreachable", "not_started")


def test_tls_is_checked(folder):
    """A certificate that nobody vouches for is no server, and gets no token; one that is trusted is."""
    made, key = certificate(folder)
    with Served(folder, NAME, "--ssl-certfile", str(made), "--ssl-keyfile", str(key)) as server:
        url = f"https://localhost:{server.port}"
        with millpond.SyncClient(url, token=server.token) as client:
            told = check(failed(client.call, "echo", text="a"), "unreachable", "not_started")
            assert "certificate" in str(told).lower()
        with millpond.SyncClient(url, token=server.token, tls=str(made)) as client:
            assert [client.call("echo", text=str(number)) for number in range(20)] == list(map(str, range(20)))
            made.with_name("open").touch()
            assert list(client.stream("gated", str(folder / "open"))) == [1, 2]
        with millpond.SyncClient(f"https://127.0.0.2:{server.port}", token=server.token, tls=str(made)) as client:
            check(failed(client.call, "echo", text="a"), "unreachable", "not_started")


def test_a_token_is_found_where_the_server_keeps_it(folder, monkeypatch):
    """In the state folder, for a server of this machine; else in the environment; another role may less."""
    for name in ("STATE_DIRECTORY", "MILLPOND_TOKEN", "MILLPOND_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    with Served(folder, NAME, "--uds", str(folder / "socket"), port=False) as server:
        address = f"unix:{folder / 'socket'}"
        with millpond.SyncClient(address) as client:
            assert client.call("echo", text="a") == "a"
        viewer = issued("view")
        with millpond.SyncClient(address, token=viewer) as client:
            check(failed(client.call, "echo", text="a"), "access_denied", "not_started")
        caller = issued("call")
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "elsewhere"))
        with millpond.SyncClient(address) as client:
            check(failed(client.call, "echo", text="a"), "access_denied", "not_started")
        (folder / "caller").write_text(caller)
        (folder / "caller").chmod(0o600)
        monkeypatch.setenv("MILLPOND_TOKEN_FILE", str(folder / "caller"))
        with millpond.SyncClient(address) as client:
            assert client.call("echo", text="a") == "a"
        with millpond.SyncClient(address, pool="another") as client:
            check(failed(client.call, "echo", text="a"), "bad_argument", "not_started")
        monkeypatch.setenv("MILLPOND_TOKEN", "mp_" + "x" * 43)
        with millpond.SyncClient(address) as client:
            check(failed(client.call, "echo", text="a"), "access_denied", "not_started")
        assert server.process.poll() is None


def issued(role):
    """A new token of a role."""
    command = [sys.executable, "-m", "millpond.cli", "token", "new", "--role", role]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return next(word for word in made.stdout.split() if word.startswith("mp_"))
