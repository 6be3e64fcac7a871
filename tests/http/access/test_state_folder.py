"""The files of the state folder: made once, closed to others, changed at once, and refused if they are not safe."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millpond.http.access.state_folder import CODE_S, CODES, SLACK_S, StateFolder, digest_of
from millpond.token_file import SHAPE, NoStateFolder, StateError

NOW = 1_800_000_000.0
FORGED = b'[{"id":"t1","sha256":"zz","role":"admin","owner":"x","created":1}]'


def modes(folder: Path) -> dict[str, int]:
    """Of the folder and all in it."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


def test_all_that_is_kept_is_closed_to_others(tmp_path):
    """Whatever the umask says: the folder 0700, each file 0600."""
    state = StateFolder(str(tmp_path / "a" / "state"))
    before = os.umask(0)
    try:
        assert SHAPE.fullmatch(state.token())
        state.cookie_key()
        state.issue("view", None, None, NOW)
        state.new_code("local", NOW)
        state.log_out("f" * 32, NOW + 5, NOW)
    finally:
        os.umask(before)
    found = modes(tmp_path / "a" / "state")
    assert found.pop("state") == 0o700
    assert len(found) == 6
    assert set(found.values()) == {0o600}


def test_servers_that_start_at_once_make_one_token_and_one_key(tmp_path):
    """Each of several processes sees the whole token that the first of them made."""
    program = (
        "import sys; sys.stdin.read(); from millpond.http.access.state_folder import StateFolder; "
        "state = StateFolder(sys.argv[1]); print(state.token(), state.cookie_key().hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state")]
    begun = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in begun:
        one.stdin.close()
    said = {one.stdout.read() for one in begun}
    assert [one.wait(30) for one in begun] == [0] * 4
    for one in begun:
        one.stdout.close()
    assert len(said) == 1
    assert not list((tmp_path / "state").glob(".new*"))


def test_a_token_is_kept_as_its_hash_only(tmp_path):
    """What is issued is in no file; the server's own is in one."""
    state = StateFolder(str(tmp_path / "state"))
    made, token = state.issue("call", "ann", NOW + 60, NOW)
    assert made.sha256 == digest_of(token)
    assert not any(token.encode() in path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert state.issued() == [made]


def test_issuing_and_revoking_at_once_lose_nothing(tmp_path):
    """Each change is made on top of the one before."""
    state = StateFolder(str(tmp_path / "state"))
    with ThreadPoolExecutor(8) as threads:
        ids = [made.id for made, _ in threads.map(lambda _: state.issue("call", None, None, NOW), range(24))]
        assert all(threads.map(state.revoke, ids[::2]))
    assert sorted(one.id for one in state.issued()) == sorted(ids[1::2])
    assert not state.revoke(ids[0])


def test_a_login_code_is_good_once_and_for_ten_minutes(tmp_path):
    """Of many who use it at the same moment one is let in."""
    state = StateFolder(str(tmp_path / "state"))
    code = state.new_code("local", NOW)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: state.take_code(code, NOW + CODE_S - 1), range(32)))
    assert sorted(taken, key=str) == [None] * 31 + ["local"]
    late = state.new_code("local", NOW)
    assert state.take_code(late, NOW + CODE_S) is None
    assert state.take_code(state.new_code("local", NOW), NOW - SLACK_S - 1) is None  # made by a clock that was ahead
    assert state.take_code("", NOW) is None


def test_unused_codes_are_bounded_and_expired_ones_swept(tmp_path):
    """A program that asks for codes in a loop fills no disk."""
    state = StateFolder(str(tmp_path / "state"))
    for _ in range(CODES):
        state.new_code("local", NOW)
    with pytest.raises(StateError, match="unused"):
        state.new_code("local", NOW)
    state.new_code("local", NOW + CODE_S)
    assert len(list((tmp_path / "state").glob("login-*"))) == 1


def test_ended_logins_are_kept_while_their_cookies_would_hold(tmp_path):
    """And no longer, so that the file stays small."""
    state = StateFolder(str(tmp_path / "state"))
    state.log_out("a", NOW + 10, NOW)
    state.log_out("b", NOW + 30, NOW + 20)
    assert state.logouts() == {"b": NOW + 30}


@pytest.mark.parametrize("owner", ["", "a:b", "a b", "x" * 65, "é", "a\n", "../a"])
def test_an_owner_that_could_be_taken_for_another_is_refused(owner, tmp_path):
    """An owner stands before a colon in the ids of sessions."""
    with pytest.raises(ValueError, match="owner"):
        StateFolder(str(tmp_path / "state")).issue("call", owner, None, NOW)


@pytest.mark.parametrize("body", [b"", b"{}", b"[{}]", b'[{"id":1}]', FORGED, b"[" * 5000, b'[{"id":"\xff"}]'])
def test_a_damaged_file_is_told_and_not_guessed_at(body, tmp_path):
    """An empty list would let nobody in and say nothing."""
    state = StateFolder(str(tmp_path / "state"))
    state.issue("call", None, None, NOW)
    (tmp_path / "state" / "issued.json").write_bytes(body)
    with pytest.raises(StateError, match=r"issued.json.*remove it"):
        state.issued()
    state.cookie_key()
    (tmp_path / "state" / "cookie-key").write_bytes(body)
    with pytest.raises(StateError, match=r"cookie-key.*remove it"):
        state.cookie_key()


def test_no_place_for_a_folder_is_told_with_what_to_do(tmp_path):
    """The sentence names both ways out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NoStateFolder, match=r"XDG_STATE_HOME.*MILLPOND_TOKEN"):
        StateFolder(str(tmp_path / "file" / "state")).token()


def test_a_link_in_place_of_the_lock_is_refused(tmp_path):
    """It could have any file of ours opened for writing."""
    (tmp_path / "state").mkdir(0o700)
    (tmp_path / "state" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        StateFolder(str(tmp_path / "state")).token()
    assert not (tmp_path / "elsewhere").exists()
