"""What `doctor` finds: each finding with a remedy where something is wrong, and an exit code that says so."""

from __future__ import annotations

import json
import resource

import pytest

from millpond.cli.app import app
from millpond.cli.doctor import limits, surroundings
from millpond.cli.doctor.command import CHECKS
from millpond.cli.doctor.finding import Finding


def test_this_machine_can_run_pools(tmp_path, monkeypatch, capsys):
    """Both ways to start workers are tried with a real pool; what is a warning or worse has a remedy."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    app(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {one["about"] for one in found} >= {"open files", "cores", "state folder", "workers by fork"}
    assert [one for one in found if one["level"] == "wrong"] == []
    assert [one for one in found if one["level"] != "ok" and not one["remedy"]] == []


def test_few_descriptors_are_wrong(monkeypatch):
    """Below what a pool and its connections need."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    (found,) = limits.descriptors()
    assert (found.level, "LimitNOFILE" in found.remedy) == ("wrong", True)


def test_a_state_folder_that_others_may_read_is_wrong_and_exits_with_one(tmp_path, monkeypatch, capsys):
    """It is told with what to do."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "millpond").mkdir(mode=0o755)
    (tmp_path / "millpond").chmod(0o755)
    monkeypatch.setattr("millpond.cli.doctor.command.CHECKS", (surroundings.disk,))
    with pytest.raises(SystemExit) as ended:
        app(["doctor"])
    assert ended.value.code == 1
    assert "WRONG" in capsys.readouterr().out


def test_each_check_tells_something():
    """But those that try pools, which the first test does."""
    for check in CHECKS:
        if check is not surroundings.start_methods:
            assert list(check())


def test_a_check_that_cannot_look_leaves_the_others_theirs(monkeypatch, capsys):
    """It is a finding itself; the folder that the command runs in may be gone."""

    def broken() -> list[Finding]:
        raise FileNotFoundError("no folder")

    monkeypatch.setattr("millpond.cli.doctor.command.CHECKS", (broken, limits.processors))
    app(["doctor", "--json"])
    first, second = json.loads(capsys.readouterr().out)["findings"]
    assert (first["about"], first["level"], "no folder" in first["text"]) == ("broken", "warning", True)
    assert second["about"] == "cores"
