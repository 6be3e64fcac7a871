"""What a server is made of, and what cannot be: each reason says what to change."""

from __future__ import annotations

import os

import pytest

from millpond.cli.app import app
from millpond.cli.serve.configuration import WrongConfiguration
from millpond.cli.serve.making import KEY_PASSWORD, Asked, make_server
from millpond.cli.serve.options import ServerOptions
from millpond.http.server.listening import CannotListen


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where servers of these tests keep their state, and where they are started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(*tokens: str) -> Asked:
    """What a command line asks for."""
    _, bound, _ = app.parse_args(["serve", *tokens], exit_on_error=False, print_error=False)
    found = bound.arguments
    return Asked(
        handler=found.get("handler"),
        config=found.get("config"),
        name=found.get("name", "default"),
        options=found.get("server", ServerOptions()),
        limits=found.get("limits") or {},
        settings=found.get("settings") or {},
    )


REFUSED = {
    "no handler": ([], "say which handler to serve"),
    "no name of a handler": (["broken"], "does not read 'module:Class'"),
    "a setting out of range": (["a:B", "--max-workers", "0"], "max_workers must be from 1 to 1024"),
    "a limit out of range": (["a:B", "--min-rate", "-1"], "min_rate must be 0 or more"),
    "a port out of range": (["a:B", "--port", "65536"], "port must be from 0 to 65535"),
    "a mode for all": (["a:B", "--uds", "s", "--uds-mode", "777"], "uds_mode must be 600, 660 or 666"),
    "two sockets": (["a:B", "--uds", "s", "--fd", "9"], "give one of them"),
    "a name that is none": (["a:B", "--name", ""], "a pool's name"),
    "a name that no path has": (["a:B", "--port", "0", "--name", "a/b"], "stands in paths"),
    "a key without a certificate": (["a:B", "--ssl-keyfile", "k"], "--ssl-keyfile needs --ssl-certfile"),
    "no certificate": (["a:B", "--ssl-certfile", "none.pem"], "No such file"),
    "too many connections": (["a:B", "--port", "0", "--limit-connections", "1000000000"], "ulimit -n"),
    "all addresses": (["a:B", "--host", "0.0.0.0", "--port", "0"], "--allowed-host NAME.*--ssl-certfile FILE"),
    "all addresses by name": (
        ["a:B", "--host", "0.0.0.0", "--port", "0", "--allowed-host", "a"],
        "this needs TLS .*--proxy-headers --forwarded-allow-ips ITS_ADDRESS",
    ),
    "all addresses without tokens": (
        ["a:B", "--host", "0.0.0.0", "--port", "0", "--allowed-host", "a", "--proxy-headers", "--auth", "none"],
        "which is public, this needs authentication",
    ),
    "no file": (["--config", "none.toml"], "none.toml cannot be read"),
    "a wrong value": (["--config", "wrong.toml"], "wrong.toml:3: max_workers must be from 1 to 1024"),
    "no TOML": (["--config", "broken.toml"], "broken.toml is no TOML"),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the program ends, and its sockets with it
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_a_sentence_with_the_remedy(folder, case, capsys):
    """Nothing is left running, nor is a key asked for at the terminal."""
    tokens, text = REFUSED[case]
    folder.joinpath("wrong.toml").write_text("[pools.a]\nhandler = 'a:B'\nmax_workers = 0\n")
    folder.joinpath("broken.toml").write_text("port = = 1\n")
    if case in ("no file", "no TOML"):  # before there is anything to be made
        with pytest.raises(SystemExit, match="2"):
            asked(*tokens)
        assert text in capsys.readouterr().err
        return
    with pytest.raises(WrongConfiguration, match=text):
        make_server(asked(*tokens))


def test_an_address_that_is_not_there_is_told():
    """By its name."""
    with pytest.raises(CannotListen, match=r"there is no address '256\.0\.0\.1'"):
        make_server(asked("a:B", "--host", "256.0.0.1"))


def test_the_password_of_a_key_is_not_left_for_workers(monkeypatch):
    """It goes from the environment when it was read."""
    monkeypatch.setenv(KEY_PASSWORD, "secret")
    wanted = asked("a:B", "--ssl-certfile", "none.pem")
    assert wanted.options.ssl_keyfile_password == "secret"
    with pytest.raises(WrongConfiguration):
        make_server(wanted)
    assert KEY_PASSWORD not in os.environ
