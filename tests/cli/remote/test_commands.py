"""The commands that ask a running server: what they print, and how they end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

import millpond
from millpond.cli.app import app
from millpond.cli.exit_codes import DENIED, FAILED, UNREACHABLE, USAGE
from millpond.http import app as make_app
from millpond.http.access.caller import Caller
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_path
from millpond.http.server.server import Server
from millpond.http.server.state import State
from millpond.testing import FakeEngine
from tests.contract.documented import Shop

ESCAPE = "\x1b[2J"


class Mart(Shop):
    """A shop that says what terminals should not hear."""

    def shout(self) -> str:
        return f"{ESCAPE}\u009b31m\u202egnp"


class Served:
    """A pool behind a server on a Unix socket, in a thread of its own."""

    def __init__(self, folder: Path, role: Any) -> None:
        self.path = folder / "run" / "pool.sock"
        self.path.parent.mkdir(mode=0o700)
        self.url = f"unix:{self.path}"
        self._role = role
        self._is_serving = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))

    async def _serve(self) -> None:
        pool = millpond.Pool(Mart, engine=FakeEngine(), codec="msgpack", max_workers=2)
        application = make_app(pool, auth=lambda _: Caller("boss", self._role, "token"))
        self.server = Server(
            application,
            application.pools,
            [open_path(str(self.path), 0o600)],
            State(Limits(), 100),
            handle_signals=False,
        )
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._is_serving.set)
        await self.server.serve()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._is_serving.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Runs a command against a served pool: its exit code, what it printed, and what it said of itself."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("MILLPOND_TOKEN", raising=False)
    with Served(tmp_path, "admin") as served:
        monkeypatch.setenv("MILLPOND_URL", served.url)

        def command(*words: str) -> tuple[int, str, str]:
            code = 0
            try:
                app(list(words))
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            said = capsys.readouterr()
            return code, said.out, said.err

        yield command


def test_a_call_prints_what_the_operation_returns(run, tmp_path):
    """Arguments by position, by name, from a file; text that is no JSON is text."""
    assert run("call", "later", "2") == (0, "2.0\n", "")
    assert run("call", "later", "number=2") == (0, "2.0\n", "")
    assert run("call", "say", "hello there")[1] == '[\n  "hello there",\n  null\n]\n'
    (tmp_path / "data.json").write_text('{"text": "x"}')
    assert run("call", "say", "--data", f"@{tmp_path}/data.json", "--session", "mine", "--json") == (
        0,
        '{"result": ["x", "boss:mine"]}\n',
        "",
    )
    assert run("call", "letters", "ab", "--stream") == (0, '"a"\n"b"\n', "")


def test_all_arguments_may_come_from_standard_input(run, monkeypatch):
    """As `--data -`, the way other commands name it."""
    monkeypatch.setattr("sys.stdin", io.StringIO('["hello"]'))
    assert run("call", "say", "--data", "-", "--json") == (0, '{"result": ["hello", null]}\n', "")


def test_a_traceback_keeps_its_lines(run):
    """The traceback of a handler's exception is for people, so its lines stay lines."""
    _, _, err = run("call", "fail", "here")
    assert "\\n" not in err
    assert "millpond: Traceback (most recent call last):\n  File " in err


def test_code_that_cannot_be_loaded_is_a_failure_and_no_wrong_command_line(run, monkeypatch):
    """`reload` was asked for and failed: a deployment goes by the exit code."""

    def broken() -> None:
        raise SyntaxError("half a line")

    assert run("call", "later", "0")[0] == 0  # the pool is open
    monkeypatch.setattr(Mart, "preload", broken, raising=False)
    code, out, err = run("reload")
    assert (code, out, err.startswith("millpond: start_failed: ")) == (FAILED, "", True)
    assert json.loads(run("reload", "--json")[1])["error"]["code"] == "start_failed"


def test_what_a_handler_says_moves_no_cursor(run):
    """Escape sequences and marks of direction are written out."""
    _, out, _ = run("call", "shout")
    assert ESCAPE not in out
    assert "\u009b" not in out
    assert "\u202e" not in out


def test_a_call_that_fails_says_why_and_exits_with_one(run):
    """As a sentence, or as JSON for programs."""
    code, out, err = run("call", "later", "number=x")
    assert (code, out, "bad_argument" in err) == (FAILED, "", True)
    code, out, err = run("call", "later", "number=x", "--json")
    assert (code, json.loads(out)["error"]["field"], err) == (FAILED, "$.number", "")
    assert run("call", "fail", "here")[2].startswith("millpond: handler_error: ")


@pytest.mark.parametrize(
    "words",
    [
        ("call", "later", "number=1", "2"),
        ("call", "later", "1", "--data", "[1]"),
        ("call", "later", "--data", "{"),
        ("call", "later", "--data", "3"),
        ("call", "later", "--data", "[" * 100_000),
        ("call", "later", "--data", "@/nowhere"),
        ("resize",),
        ("status", "--url", "ftp://x"),
    ],
)
def test_a_wrong_command_line_exits_with_two(run, words):
    """And nothing was asked."""
    code, out, err = run(*words)
    assert (code, out, err.startswith("millpond: ")) == (USAGE, "", True)


def test_commands_tell_what_holds_then(run):
    """Size, workers, draining; each as JSON too."""
    assert run("resize", "--max-workers", "3") == (0, "1 to 3 workers, 1 alive\n", "")
    assert run("reload")[:2] == (0, "All workers are replaced; 1 alive.\n")
    assert json.loads(run("resize", "--min-workers", "1", "--json")[1])["max_workers"] == 3
    assert run("explain", "--url", os.environ["MILLPOND_URL"])[:2] == (0, "No decisions yet.\n")
    assert run("drain")[0] == 0


def test_the_status_fits_a_narrow_terminal(run, monkeypatch):
    """Whether it is well stands in one line; forty columns are enough for all."""
    monkeypatch.setenv("COLUMNS", "40")
    run("call", "later", "1")
    code, out, _ = run("status")
    assert code == 0
    assert "state" in out
    assert "ready" in out
    assert max(map(len, out.splitlines())) <= 40
    assert json.loads(run("status", "--json")[1])["statistics"]["state"] == "ready"


def test_no_server_and_no_right_have_codes_of_their_own(tmp_path, monkeypatch, capsys):
    """So that a script can tell them apart from a call that failed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        app(["status", "--url", f"unix:{tmp_path}/nobody.sock"])
    assert ended.value.code == UNREACHABLE
    with Served(tmp_path, "call") as served, pytest.raises(SystemExit) as ended:
        app(["drain", "--url", served.url])
    assert ended.value.code == DENIED
    assert "millpond serve" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_commands(shell):
    """A script for each of them, with every command in it."""
    script = app.generate_completion(shell=shell)
    assert all(name in script for name in ("serve", "status", "doctor", "token"))


def test_what_a_program_would_do_is_told_as_it_is_typed(run):
    """A stream, a session and a pool that is not there, in the words of the command line."""
    assert "use --stream" in run("call", "letters", "ab")[2]
    assert "leave --stream out" in run("call", "later", "1", "--stream")[2]
    assert "use --session ID" in run("call", "hold")[2]
    code, _, err = run("status", "--pool", "nobody")
    assert (code, "there are: default" in err) == (FAILED, True)


def test_a_report_is_saved_where_one_asked_for_it(run, tmp_path):
    """As one file of HTML; a span that is none, and a folder that is not there, are told."""
    path = tmp_path / "report.html"
    assert run("call", "later", "0")[0] == 0  # the pool is open
    code, out, _ = run("report", "--since", "1h", "-o", str(path))
    assert (code, out) == (0, f"{path}: {path.stat().st_size} bytes\n")
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert run("report", "--since", "an hour", "-o", str(path))[0] == USAGE
    assert run("report", "-o", str(tmp_path / "nowhere" / "report.html"))[0] == USAGE
    assert run("report", "--since", "48h", "-o", str(path))[0] == USAGE
