"""The nginx configuration of the page on serving, with nginx itself in front of a server on a Unix socket."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes.served import CALL, LIMIT_S, NAME, Served, eventually

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

# Where nginx keeps what a service's would be in /var.
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


def configuration(folder: Path, uds: Path, port: int) -> str:
    """The page's, with the test's paths and a port without TLS."""
    (site,) = re.findall(r"<!-- nginx -->\n```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    changes = {"/run/millpond.sock": str(uds), "listen 443 ssl;": f"listen 127.0.0.1:{port};"}
    for old, new in changes.items():
        assert old in site
        site = site.replace(old, new)
    site = re.sub(r" +ssl_certificate\S* .*\n", "", site)
    return AROUND.format(folder=folder, site=site, user="user root;" if os.geteuid() == 0 else "")


class Front:
    """A server and nginx before it."""

    def __init__(self, server: Served, port: int) -> None:
        self.server = server
        self.port = port
        self.headers = {
            "Authorization": f"Bearer {server.token}",
            "Content-Type": "application/json",
            "Host": "pool.example.com",
        }

    def post(self, path: str, /, **arguments: object) -> http.client.HTTPConnection:
        """A connection on which a request was sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        connection.request("POST", path, json.dumps(arguments), self.headers)
        return connection

    def call(self, operation: str, /, **arguments: object) -> tuple[int, object]:
        """Status and answer of a call."""
        with closing(self.post(CALL.format("default", operation), **arguments)) as connection:
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@pytest.fixture
def front(tmp_path):
    tmp_path.chmod(0o700)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uds = tmp_path / "made" / "s"
    options = ["--uds", str(uds), "--proxy-headers", "--forwarded-allow-ips", "*", "--access-log"]
    options += ["--allowed-host", "pool.example.com", "--max-workers", "1"]
    with Served(tmp_path, NAME, *options, port=False) as server:
        path = tmp_path / "nginx.conf"
        path.write_text(configuration(tmp_path, uds, port))
        nginx = subprocess.Popen([NGINX, "-c", str(path), "-e", str(tmp_path / "early.log")], cwd=tmp_path)
        try:
            eventually(lambda: is_listening(port))
            yield Front(server, port)
        finally:
            nginx.send_signal(signal.SIGTERM)
            nginx.wait(LIMIT_S)


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_calls_pass_with_the_clients_address(front):
    """The log has the client's, not the proxy's; a Host that is not the server's is still refused."""
    assert front.call("echo", text="a") == (200, "a")
    eventually(lambda: "127.0.0.1 POST /v1/pools/default/call/echo 200" in front.server.said())
    front.headers["Host"] = "evil.example"
    assert front.call("echo", text="a")[0] == 421


def test_a_stream_passes_as_it_is_sent(front, tmp_path):
    """Its first item is here before the second is made."""
    with closing(front.post("/v1/pools/default/stream/gated", path=str(tmp_path / "gate"))) as connection:
        answer = connection.getresponse()
        assert (answer.headers["content-type"] or "").startswith("text/event-stream")
        assert next(line for line in answer if line.startswith(b"data:")) == b"data: 1\n"
        (tmp_path / "gate").touch()
        assert next(line for line in answer if line.startswith(b"data:")) == b"data: 2\n"


def test_a_client_that_leaves_nginx_ends_its_call(front, tmp_path):
    """The only worker is free again."""
    call = CALL.format("default", "wait_for")
    with closing(front.post(call, path=str(tmp_path / "never"), begun=str(tmp_path / "begun"))):
        eventually((tmp_path / "begun").exists)
    assert front.call("echo", text="a") == (200, "a")
