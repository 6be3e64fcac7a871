"""The command that tells what an optimizer did."""

from __future__ import annotations

import json

import pytest

from millpond.cli.app import app
from millpond.cli.exit_codes import USAGE
from millpond.optimizer.journal_store import JournalStore
from tests.optimizer.test_journal import decided


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """A folder that is the working one, with a journal of two pools in it."""
    monkeypatch.chdir(tmp_path)
    for pool, number in (("mill", 1), ("pond", 2)):
        store = JournalStore(tmp_path / "history.sqlite", pool, "run")
        store.put(decided(number))
        store.close()
    return tmp_path


def test_the_story_of_a_file_is_printed(journal, capsys):
    """Of the named one, or of the only one that is there."""
    app(["explain", "history.sqlite"])
    named = capsys.readouterr().out
    app(["explain"])
    assert capsys.readouterr().out == named
    assert named.count("why: Two workers keep") == 2


def test_one_pool_of_several_is_told_by_its_name(journal, capsys):
    """And so many of its last decisions."""
    app(["explain", "--pool", "pond", "--last", "1"])
    assert "2. change" in capsys.readouterr().out
    app(["explain", "--pool", "nobody"])
    assert capsys.readouterr().out == "No decisions yet.\n"


@pytest.mark.parametrize("files", [(), ("a.db", "b.sqlite")])
def test_without_one_file_to_read_it_says_what_is_needed(files, tmp_path, monkeypatch, capsys):
    """Where there is none, or more than one."""
    monkeypatch.chdir(tmp_path)
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(SystemExit) as ended:
        app(["explain"])
    assert ended.value.code == USAGE
    assert "say which file holds the journal" in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_its_name(tmp_path, capsys):
    """And no traceback; for programs as JSON."""
    with pytest.raises(SystemExit):
        app(["explain", str(tmp_path / "nowhere.sqlite"), "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "usage"
    assert "nowhere.sqlite" in error["message"]
