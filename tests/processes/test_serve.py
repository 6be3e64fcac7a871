"""`millpond serve` as a program: what it tells, whom it lets in, what its processes inherit, and how it fails."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import ssl
import stat

import pytest

from tests.faults.harness import at_most
from tests.processes.served import (
    LIMIT_S,
    NAME,
    Served,
    certificate,
    eventually,
    refused,
    serving_sockets,
    sockets_of,
    tls_context,
    told,
)


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def test_it_serves_a_handler_until_it_is_told_to_stop(folder):
    """One line says what, where, and where the token is, not the token; SIGTERM ends it with code 0."""
    with Served(folder, NAME, "--min-workers", "1") as server:
        assert server.call("echo", text="hello") == "hello"
        assert server.line == (
            f"millpond: serving default at {server.address} (the token is in {folder}/state/millpond/token)\n"
        )
        assert server.ask("echo", token="mp_" + "x" * 43, text="a")[0] == 401
        assert server.end(signal.SIGTERM) == 0
        assert server.token not in server.said() + server.line


def test_it_stops_soon_with_connections_open(folder):
    """Idle ones, events and half a request do not keep it: it ends in 2 s, or what a busy machine takes for that."""
    with Served(folder, NAME) as server:
        server.call("echo", text="a")
        idle = [server.connect() for _ in range(20)]
        for connection in idle:
            assert told(connection, server.token, "echo", text="a") == (200, "a")
        events = server.connect()
        events.request("GET", "/v1/pools/default/events", headers={"Authorization": f"Bearer {server.token}"})
        stream = events.getresponse()
        assert stream.headers["content-type"].startswith("text/event-stream")
        half = socket.create_connection(("127.0.0.1", server.port))
        half.sendall(b"POST / HTTP/1.1\r\n")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(at_most(2.0)) == 0
        for one in (half, stream, events):
            one.close()
        for connection in idle:
            connection.close()


def test_a_terminal_gets_a_link_to_log_in_with(folder):
    """On a line of its own, with a code that is good once; it is nowhere else."""
    ours, theirs = pty.openpty()
    server = Served(folder, NAME, stdout=theirs)
    try:
        first, second = read_lines(ours, 2)
        address = re.search(r"http://127.0.0.1:\d+", first)
        link = re.fullmatch(r"millpond: to log in once, within 10 minutes: (\S+)/login#(\S+)", second)
        assert address
        assert link
        assert link[1] == address[0]
        assert server.end(signal.SIGTERM) == 0
        assert link[2] not in server.said()
    finally:
        server.__exit__()
        os.close(ours)
        os.close(theirs)


def read_lines(descriptor: int, count: int) -> list[str]:
    """Lines of a terminal."""
    text = b""
    while text.count(b"\n") < count:
        assert select.select([descriptor], [], [], LIMIT_S)[0], text
        text += os.read(descriptor, 4096)
    return text.decode().splitlines()[:count]


def test_pools_and_options_come_from_one_file(folder):
    """Each table is a pool of its settings; the command line has the last word."""
    folder.joinpath("millpond.toml").write_text(
        f'port = 1\nlimit_body = 1000\n[pools.reader]\nhandler = "{NAME}"\nmin_workers = 2\nmax_workers = 2\n'
        f'[pools.writer]\nhandler = "{NAME}"\nmax_workers = 1\n'
    )
    with Served(folder, "--config", "millpond.toml") as server:
        assert server.line.startswith("millpond: serving reader, writer at ")
        assert {server.call("pid", "reader"), server.call("pid", "writer")}
        assert server.ask("echo", "writer", text="x" * 2000)[0] == 413


def test_handlers_are_found_where_it_is_started(folder):
    """As `python -m` finds modules."""
    folder.joinpath("mine.py").write_text("class Mine:\n    def answer(self) -> int:\n        return 42\n")
    with Served(folder, "mine:Mine", env={"PYTHONPATH": ""}) as server:
        assert server.call("answer") == 42


def test_processes_of_a_pool_inherit_no_socket_and_no_secret(folder):
    """Neither listening sockets nor connections, that are open when workers start, nor the token or systemd's names."""
    token = "mp_" + "t" * 43
    secrets = {"MILLPOND_TOKEN": token, "LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with Served(folder, NAME, "--min-workers", "1", "--max-workers", "2", env=secrets) as server:
        assert server.line.endswith("(the token is in $MILLPOND_TOKEN)\n")
        connection = server.connect()
        assert told(connection, token, "echo", text="a") == (200, "a")
        _, first = told(connection, token, "pid")
        server.process.send_signal(signal.SIGHUP)  # new workers, while a connection is open
        eventually(lambda: told(connection, token, "pid")[1] != first)
        ours = serving_sockets(server)
        assert len(ours) == 2
        assert server.descendants()
        for process in server.descendants():
            assert not ours & sockets_of(process)
            assert not secrets.keys() & process.environ().keys()
        assert not secrets.keys() & told(connection, token, "environment")[1].keys()
        connection.close()


def test_a_unix_socket_is_its_owners_alone_and_goes_with_the_server(folder):
    """0600 in a folder of 0700."""
    path = folder / "made" / "s"
    with Served(folder, NAME, "--uds", str(path), port=False) as server:
        assert server.address == f"unix:{path}"
        assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        assert told(connection, server.token, "echo", text="a") == (200, "a")
        assert server.end(signal.SIGTERM) == 0
        assert not path.exists()
        connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_it_speaks_tls(folder):
    """1.2 and newer."""
    cert, key = certificate(folder)
    with Served(folder, NAME, "--ssl-certfile", str(cert), "--ssl-keyfile", str(key)) as server:
        assert server.address.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection("localhost", server.port, context=tls_context(cert), timeout=LIMIT_S)
        assert told(connection, server.token, "echo", text="a") == (200, "a")
        connection.close()
        old = tls_context(cert, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        connection = http.client.HTTPSConnection("localhost", server.port, context=old, timeout=LIMIT_S)
        with pytest.raises(ssl.SSLError):
            connection.connect()
        assert server.end(signal.SIGTERM) == 0


REFUSED = {
    "a missing module": (4, ["no_such_module:Handler"], "No module named 'no_such_module'"),
    "a missing class": (4, ["broken:Missing"], "has no attribute 'Missing'"),
    "a module that fails": (4, ["failing:Handler"], "ZeroDivisionError: division by zero (", "failing.py, line 2)"),
    "all addresses": (2, ["broken:Broken", "--host", "0.0.0.0"], "which is public, this needs"),
    "no such descriptor": (3, ["broken:Broken", "--fd", "99"], "there is no open file 99"),
    "an unknown key": (2, ["--config", "unknown.toml"], "unknown.toml:4: unknown key 'min_workrs'", "'min_workers'?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_told_in_one_sentence(folder, case):
    """And by the exit code: 2 for options and files, 3 for the address, 4 for a pool that cannot open."""
    code, arguments, *texts = REFUSED[case]
    folder.joinpath("failing.py").write_text("import os\n1 / 0\n")
    folder.joinpath("broken.py").write_text("class Broken:\n    pass\n")
    folder.joinpath("unknown.toml").write_text("port = 0\n[pools.a]\nhandler = 'broken:Broken'\nmin_workrs = 2\n")
    ended, said = refused(folder, *arguments, *(["--port", "0"] if code == 4 else []), "--log-level", "critical")
    assert (ended, said.count("\n")) == (code, 1), said
    assert said.startswith("millpond: ")
    assert "Traceback" not in said
    for text in texts:
        assert text in said


def test_a_handler_that_cannot_be_made_ends_with_its_users_traceback(folder):
    """Last, and none of our frames in it."""
    folder.joinpath("failing.py").write_text(
        "class Handler:\n    def __init__(self):\n        raise OSError('no model')\n"
    )
    code, said = refused(folder, "failing:Handler", "--port", "0")
    assert code == 4
    trace = said.partition("millpond: pool 'default' cannot open: OSError: no model\n\n")[2]
    assert trace.startswith("Traceback (most recent call last):\n  File ")
    assert trace.endswith("OSError: no model\n")
    assert "/millpond/" not in trace.replace(str(folder), "")


def test_a_port_in_use_is_told(folder):
    """Exit code 3."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused(folder, NAME, "--port", str(port))
    assert (code, said) == (3, f"millpond: cannot listen at 127.0.0.1 port {port}: another program listens there\n")


def test_the_log_can_be_json_and_has_no_query(folder):
    """A line each, with the access log where it is asked for."""
    with Served(folder, NAME, "--log-format", "json", "--access-log") as server:
        connection = server.connect()
        connection.request("GET", "/nothing?token=secret", headers={"Authorization": "Bearer secret"})
        connection.getresponse().read()
        connection.close()
        server.end(signal.SIGTERM)
        lines = [json.loads(line) for line in server.said().splitlines()]
        assert "127.0.0.1 GET /nothing 401" in [line["message"] for line in lines]
        assert "secret" not in server.said()
