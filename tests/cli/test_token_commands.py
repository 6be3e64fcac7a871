"""The commands `token` and `login`: what they print where, and that a running server goes by what they wrote."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from millpond.cli.app import app
from millpond.http.access.caller import Caller
from millpond.http.access.state_folder import digest_of
from tests.http.access.asked import Asked


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A server that runs with the state folder of the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return Asked(tmp_path / "millpond")


def printed(capsys: pytest.CaptureFixture[str], *tokens: str) -> Any:
    """What a command prints with `--json`."""
    app([*tokens, "--json"])
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


def refused(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """What a command that fails says."""
    with pytest.raises(SystemExit) as ended:
        app(list(tokens))
    assert ended.value.code in (1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_new_token_is_printed_alone_and_once(asked, capsys):
    """So that a script can keep it: all else is said on the standard error; only its hash is kept."""
    app(["token", "new", "--role", "call", "--owner", "ann", "--expires", "12h"])
    said = capsys.readouterr()
    token = said.out.removesuffix("\n")
    (kept,) = asked.access.state.issued()
    assert kept.sha256 == digest_of(token)
    assert kept.expires == kept.created + 12 * 3600
    assert token not in said.err
    assert kept.id in said.err
    app(["token", "list"])
    assert token not in capsys.readouterr().out


def test_a_running_server_goes_by_what_the_commands_wrote(asked, capsys):
    """Nobody tells it: a token is good, and good no more, within a second."""
    made = printed(capsys, "token", "new", "--role", "view")
    asked.clocks.advance(1.0)
    assert asked.bearer(made["token"]) == Caller(made["id"], "view", "token", made["id"])
    assert printed(capsys, "token", "revoke", made["id"]) == {"revoked": made["id"]}
    asked.clocks.advance(1.0)
    assert asked.bearer(made["token"]) == 401


def test_the_list_has_the_servers_own_token_and_all_issued(asked, capsys):
    """With their ends, and without any token."""
    made = printed(capsys, "token", "new", "--role", "call", "--owner", "ann", "--expires", "1d")
    del made["token"]
    own = {"id": "local", "role": "admin", "owner": "local", "created": None, "expires": None}
    assert printed(capsys, "token", "list") == [own, made]
    app(["token", "list"])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "ROLE", "OWNER", "CREATED", "EXPIRES"]
    assert first.split() == ["local", "admin", "local", "-", "-"]
    assert second.split() == [made[name] for name in ("id", "role", "owner", "created", "expires")]


def test_a_link_logs_one_browser_in(asked, capsys):
    """As the server's own token, or as another's."""
    asked.clocks.wall = time.time()
    made = printed(capsys, "token", "new", "--role", "view")
    app(["login", "--url", "https://pool.example.com/mill/", "--for", made["id"]])
    said = capsys.readouterr()
    assert "10 minutes" in said.err
    base, _, code = said.out.strip().partition("#")
    assert base == "https://pool.example.com/mill/login"
    token = asked.access.take_code(code)
    assert token is not None
    assert token.caller.token_id == made["id"]
    base, _, code = printed(capsys, "login")["url"].partition("#")
    assert base == "http://127.0.0.1:8000/login"
    assert asked.access.take_code(code).caller.token_id == "local"  # type: ignore[union-attr]
    assert asked.access.take_code(code) is None


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["token", "new"], "--role"),
        (["token", "new", "--role", "root"], '"root"'),
        (["token", "new", "--role", "call", "--expires", "soon"], "--expires"),
        (["token", "new", "--role", "call", "--expires", "0s"], "--expires"),
        (["token", "new", "--role", "call", "--owner", "a:b"], "owner"),
        (["token", "revoke", "nobody"], "millpond token list"),
        (["login", "--for", "nobody"], "millpond token list"),
        (["login", "--url", "unix:/run/pool.sock"], "--url http"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(tokens, said, asked, capsys):
    """With an exit code, and the option or what to do in the message."""
    before = sorted(path.name for path in asked.folder.iterdir())
    assert said in refused(capsys, *tokens)
    assert sorted(path.name for path in asked.folder.iterdir()) == before


def test_a_link_leads_to_the_server_that_other_commands_ask(asked, capsys, monkeypatch):
    """`MILLPOND_URL` names it for `login` as for them."""
    monkeypatch.setenv("MILLPOND_URL", "http://127.0.0.1:8770")
    assert printed(capsys, "login")["url"].startswith("http://127.0.0.1:8770/login#")


def test_a_login_where_no_server_has_run_is_refused(tmp_path, monkeypatch, capsys):
    """As another user, or with another state folder: the code would open nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert "as the user who runs the server" in refused(capsys, "login")
    assert not list(tmp_path.iterdir())


def test_an_unsafe_folder_is_told_and_left_alone(asked, capsys):
    """By every command."""
    asked.folder.chmod(0o755)
    for tokens in (["token", "new", "--role", "call"], ["token", "list"], ["token", "revoke", "local"], ["login"]):
        assert "chmod 700" in refused(capsys, *tokens)
        with pytest.raises(SystemExit) as ended:
            app(tokens)
        assert ended.value.code == 2
