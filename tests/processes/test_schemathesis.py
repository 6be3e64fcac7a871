"""Schemathesis reads the OpenAPI document of a server that runs, and asks it whatever that allows and forbids.

Left out are streams without an end, what would stop or resize the pool, and what only a page of the server may ask.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.http.access.state_folder import StateFolder
from tests.needs import need
from tests.processes import fuzzed
from tests.processes.served import LIMIT_S, Served

need("schemathesis")

HERE = Path(__file__).parent
LEFT_OUT = r"/(events|resize|configure|drain|replace_workers|silence|login|logout)$"
OPEN = r"^/(healthz|readyz|login)?$"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all runs."""
    folder = tmp_path_factory.mktemp("served")
    with Served(folder, fuzzed.NAME, "--max-workers", "2", "--no-access-log") as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Served) -> Path:
    """The document with all there is, for roles that may use a part of it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
    connection.request("GET", "/openapi.json", headers={"Authorization": f"Bearer {server.token}"})
    path = server.folder / "openapi.json"
    path.write_bytes(connection.getresponse().read())
    connection.close()
    return path


def fuzz(server: Served, document: Path, token: str, *arguments: str, config: str = "schemathesis.toml") -> None:
    """Run it; fails with its report."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / config), "run", str(document)]
    command += ["--url", f"http://127.0.0.1:{server.port}", "--seed", "1", "--generation-deterministic"]
    command += ["--request-timeout", "30", "--continue-on-failure", "--no-color"]
    command += ["--exclude-path-regex", LEFT_OUT, *arguments]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        command, cwd=server.folder, env=environment, capture_output=True, text=True, timeout=4 * LIMIT_S
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_everything_asked_by_an_administrator_is_answered_as_documented(server: Served, document: Path):
    """No errors of the server's, documented statuses, headers and bodies, wrong data refused."""
    checks = ["--checks", "all", "--exclude-checks", "ignored_auth"]
    fuzz(server, document, server.token, *checks, "--phases", "coverage,fuzzing", "--max-examples", "8")


def test_no_operation_answers_without_the_token_or_with_a_wrong_one(server: Served, document: Path):
    """What was answered with the token is asked again without it, and with another; not so fast that that is 429."""
    slowly = ["--mode", "positive", "--phases", "fuzzing", "--max-examples", "2", "--rate-limit", "4/s"]
    fuzz(server, document, server.token, "--checks", "ignored_auth", *slowly)


@pytest.mark.parametrize("role", ["call", "view"])
def test_other_roles_are_answered_as_documented(server: Served, document: Path, role):
    """What they may not do is 403, and no other answer is one that the document does not know."""
    _, token = StateFolder(str(server.folder / "state" / "millpond")).issue(role, None, None, 0.0)
    checks = ["--checks", "all", "--exclude-checks", "ignored_auth"]
    fuzz(server, document, token, *checks, "--phases", "fuzzing", "--max-examples", "4")


def test_without_a_token_every_answer_is_401(server: Served, document: Path):
    """Whatever else is right with the request."""
    without = ["--generation-with-security-parameters", "false", "--mode", "positive", "--phases", "fuzzing"]
    checks = "not_a_server_error,status_code_conformance,response_schema_conformance,positive_data_acceptance"
    left_out = ["--exclude-path", "/healthz", "--exclude-path", "/readyz", "--exclude-path", "/"]
    fuzz(
        server, document, "", *without, *left_out, "--checks", checks, "--max-examples", "4",
        config="schemathesis_nobody.toml",
    )  # fmt: skip


def test_nothing_of_it_was_an_error_of_the_servers_own(server: Served):
    """Its log says so, and it goes on answering."""
    assert server.call("colour", name="red") == "red"
    assert "Traceback" not in server.said()
    assert "raised" not in server.said()
