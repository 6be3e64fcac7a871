"""`millpond serve` stops and is replaced: what runs is answered or told, nobody's request fails, nothing survives."""

from __future__ import annotations

import http.client
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes.served import LIMIT_S, NAME, Load, Served, Waiting, eventually, listening, told

ACTIVATOR = str(Path(__file__).parent / "activator.py")


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.mark.parametrize("is_known", [False, True])
def test_12_calls_that_outlive_the_drain_are_told(folder, is_known):
    """They end with the problem `pool_closing` or that their worker was ended, and the server with code 0."""
    with Served(folder, NAME, "--max-workers", "1", "--drain", "0.2") as server:
        waiting = Waiting(server, folder, 1, is_known=is_known)
        server.process.send_signal(signal.SIGTERM)
        ((status, problem),) = waiting.end(release=False)
        assert (status, problem["code"]) == (503, "pool_closing")
        assert server.process.wait(LIMIT_S) == 0


def test_replacing_all_workers_fails_no_request(folder):
    """SIGHUP loads the code anew under load; every worker is another afterwards."""
    with Served(folder, NAME, "--min-workers", "2", "--max-workers", "2") as server:
        first = server.call("pid")
        with Load(server.connect, server.token) as load:
            load.goes_on()
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: "all workers are replaced" in server.said())
            load.goes_on()
        assert load.failures == []
        assert server.call("pid") != first


def test_a_restart_behind_a_kept_socket_fails_no_request(folder):
    """The socket is another program's; clients wait in it while one server has ended and the next begins."""
    with listening() as kept:
        options = (NAME, "--min-workers", "1", "--fd", str(kept.fileno()))
        fds = (kept.fileno(),)

        def connect() -> http.client.HTTPConnection:
            return http.client.HTTPConnection("127.0.0.1", kept.getsockname()[1], timeout=LIMIT_S)

        with Served(folder, *options, port=False, pass_fds=fds) as server:
            server.call("echo", text="a")
            with Load(connect, server.token) as load:
                load.goes_on()
                assert server.end(signal.SIGTERM) == 0
                for _ in range(2):
                    with Served(folder, *options, port=False, pass_fds=fds) as after:
                        load.goes_on()
                        assert after.end(signal.SIGTERM) == 0
                with Served(folder, *options, port=False, pass_fds=fds):
                    load.goes_on()
                    load.__exit__()
            assert load.failures == []


def test_systemd_hands_a_socket_over(folder):
    """The server takes what LISTEN_FDS names, and its workers do not know of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, ACTIVATOR, str(port), sys.executable, "-m", "millpond.cli", "serve", NAME]
    with Served(folder, command=command) as server:
        assert server.address == f"http://127.0.0.1:{port}"
        assert not [name for name in server.call("environment") if name.startswith("LISTEN_")]
        assert server.end(signal.SIGTERM) == 0


def test_what_systemd_hands_over_is_not_mixed_with_another_address(folder):
    """Two places at which to listen are a mistake, and told."""
    command = [sys.executable, ACTIVATOR, "0", sys.executable, "-m", "millpond.cli", "serve", NAME, "--uds", "s"]
    server = Served(folder, command=command)
    try:
        assert server.process.wait(LIMIT_S) == 2
        assert "systemd hands a socket over" in server.said()
    finally:
        server.__exit__()


def test_a_client_that_leaves_ends_its_call(folder):
    """The worker is free for others, though the call would have run for ever."""
    with Served(folder, NAME, "--max-workers", "1") as server:
        with closing(server.connect()) as connection:
            body = f'{{"path": "{folder}/never", "begun": "{folder}/begun"}}'
            headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/pools/default/call/wait_for", body, headers)
            eventually((folder / "begun").exists)
        assert server.call("echo", text="a") == "a"
        with closing(server.connect()) as connection:
            assert told(connection, server.token, "echo", text="b") == (200, "b")
