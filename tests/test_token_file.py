"""Where the token is found, and which files are refused, with a sentence that says how to mend it."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from millpond.token_file import SHAPE, StateError, given_token, known_token, state_folder, token_in

TOKEN = "mp_" + "aB3_-" * 8 + "xyz"


def planted(folder: Path, mode: int = 0o600, text: str = TOKEN + "\n") -> Path:
    """A state folder with a token."""
    folder.mkdir(0o700, parents=True)
    file = folder / "token"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_the_state_folder_is_the_service_managers_else_the_users():
    """`$STATE_DIRECTORY`, of which systemd may name several, then `$XDG_STATE_HOME`, then the usual place."""
    assert state_folder({"STATE_DIRECTORY": "/var/lib/pond:/var/lib/more", "XDG_STATE_HOME": "/x"}) == "/var/lib/pond"
    assert state_folder({"XDG_STATE_HOME": "/x"}) == "/x/millpond"
    usual = os.path.expanduser("~/.local/state/millpond")
    assert state_folder({}) == state_folder({"XDG_STATE_HOME": "relative"}) == usual


def test_the_environment_comes_before_the_files(tmp_path):
    """`MILLPOND_TOKEN` is asked first, then `MILLPOND_TOKEN_FILE`, then the state folder; with none there is none."""
    file = planted(tmp_path / "millpond", text=TOKEN[:-1] + "Z")
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    assert known_token(environ) == TOKEN[:-1] + "Z"
    named = tmp_path / "named"
    named.write_text(TOKEN[:-1] + "Y")
    named.chmod(0o400)
    assert known_token(environ | {"MILLPOND_TOKEN_FILE": str(named)}) == TOKEN[:-1] + "Y"
    assert known_token(environ | {"MILLPOND_TOKEN_FILE": str(named), "MILLPOND_TOKEN": TOKEN}) == TOKEN
    file.unlink()
    assert known_token(environ) is None
    assert known_token({"XDG_STATE_HOME": str(tmp_path / "nowhere")}) is None


@pytest.mark.parametrize("text", ["", "secret", "mp_short", TOKEN + "x", TOKEN[:-1] + "!", "mp_" + "é" * 43])
def test_what_is_no_token_is_refused_and_not_shown(text, tmp_path):
    """256 bits or nothing: a weak one of somebody's own is none; the message does not repeat it."""
    for environ in ({"MILLPOND_TOKEN": text}, {"MILLPOND_TOKEN_FILE": str(planted(tmp_path / "f", text=text))}):
        with pytest.raises(StateError) as refused:
            given_token(environ)
        assert not text or text not in str(refused.value)
    assert not SHAPE.fullmatch(text)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(mode, tmp_path):
    """Whether the state folder's or one that is named; the sentence says how to close it."""
    file = planted(tmp_path / "millpond", mode)
    for read in (lambda: known_token({"XDG_STATE_HOME": str(tmp_path)}), lambda: token_in(str(file))):
        with pytest.raises(StateError, match=f"chmod 600 {file}"):
            read()


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_is_open_to_others_is_refused(mode, tmp_path):
    """Also to those who may only pass through it."""
    folder = planted(tmp_path / "millpond").parent
    folder.chmod(mode)
    with pytest.raises(StateError, match=f"chmod 700 {folder}"):
        known_token({"XDG_STATE_HOME": str(tmp_path)})


def test_a_link_in_place_of_the_folder_or_the_token_is_refused(tmp_path):
    """Whoever made it may know what it leads to."""
    real = planted(tmp_path / "real" / "millpond")
    (tmp_path / "millpond").symlink_to(real.parent)
    with pytest.raises(StateError, match="is a link"):
        known_token({"XDG_STATE_HOME": str(tmp_path)})
    real.rename(real.with_name("elsewhere"))
    real.symlink_to(real.with_name("elsewhere"))
    with pytest.raises(StateError, match="is a link"):
        known_token({"XDG_STATE_HOME": str(tmp_path / "real")})


def test_what_is_no_file_or_no_folder_is_refused_without_waiting(tmp_path):
    """A pipe in the token's place would have a reader wait for ever."""
    folder = tmp_path / "millpond"
    folder.mkdir(0o700)
    os.mkfifo(folder / "token", 0o600)
    with pytest.raises(StateError, match="no plain file"):
        known_token({"XDG_STATE_HOME": str(tmp_path)})
    with pytest.raises(StateError, match="no plain file"):
        token_in(str(folder / "token"))
    (tmp_path / "flat").write_text("")
    with pytest.raises(StateError, match="no folder"):
        known_token({"STATE_DIRECTORY": str(tmp_path / "flat")})
    with pytest.raises(StateError, match="cannot be read"):
        token_in(str(tmp_path / "nowhere"))


def test_a_file_too_large_is_refused_unread(tmp_path):
    """However it came there; what is small takes no more memory than it has bytes."""
    file = planted(tmp_path / "millpond")
    tracemalloc.start()
    try:
        known_token({"XDG_STATE_HOME": str(tmp_path)})
        os.truncate(file, 2**30)
        with pytest.raises(StateError, match="too large"):
            known_token({"XDG_STATE_HOME": str(tmp_path)})
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


AS_NOBODY = """
import os, sys
from millpond.token_file import StateError, known_token, token_in
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for read in (lambda: known_token({"STATE_DIRECTORY": sys.argv[1]}), lambda: token_in(sys.argv[2])):
    try:
        print(read())
    except StateError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of several users")
@pytest.mark.parametrize(
    ("owner", "mode", "said"),
    [(65534, 0o400, TOKEN), (0, 0o440, TOKEN), (0, 0o444, "open to others"), (1, 0o444, "belongs to user 1")],
)
def test_files_of_another_owner_are_refused_but_a_service_managers(owner, mode, said, tmp_path):
    """The state folder must be ours; a file that is named may be root's, and closed to all but us."""
    foreign = planted(tmp_path / "foreign")
    named = tmp_path / "named"
    named.write_text(TOKEN)
    os.chown(named, owner, 65534)
    named.chmod(mode)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and "pytest" in str(folder):
            folder.chmod(0o711)
    tmp_path.chmod(0o711)
    os.chown(foreign.parent, 1, 1)
    foreign.parent.chmod(0o755)
    command = [sys.executable, "-c", AS_NOBODY, str(foreign.parent), str(named)]
    folders, files = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "belongs to user 1" in folders
    assert said in files
