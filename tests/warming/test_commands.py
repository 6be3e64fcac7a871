"""Warm-up commands as they are written, and the reports of what came of them."""

from __future__ import annotations

import pytest

from millpond.warming.commands import Warmup, check_commands
from millpond.warming.outcomes import CommandReport, WarmReport, WorkerReport
from tests.warming.handlers import note


def test_a_command_has_a_name_of_its_own_kind():
    """Events and statistics name commands, never their arguments."""
    commands = [Warmup("read", "secret"), Warmup.imports("json"), Warmup.run(note, "secret")]
    assert [one.name for one in commands] == ["read", "import json", "tests.warming.handlers.note"]
    assert "secret" not in repr(commands)


@pytest.mark.parametrize("deadline", [0, -1, 1e9, float("inf"), float("nan")])
def test_a_deadline_is_a_time_that_ends(deadline):
    """A warm-up that may take for ever would keep its worker for ever."""
    with pytest.raises(ValueError, match="deadline"):
        Warmup("read", deadline=deadline)


@pytest.mark.parametrize("wrong", [lambda: Warmup(print), lambda: Warmup.imports(3), lambda: Warmup.run("print")])
def test_the_wrong_kind_is_refused_when_it_is_written(wrong):
    """Not when the pool opens."""
    with pytest.raises(TypeError, match="Warmup"):
        wrong()


@pytest.mark.parametrize("wrong", [["read"], Warmup("read"), "read"])
def test_the_setting_is_a_sequence_of_commands(wrong):
    """A name alone could mean an operation or a module."""
    with pytest.raises(TypeError, match="Warmup"):
        check_commands(wrong)


def test_a_report_adds_up():
    """Totals come from the workers' own reports."""
    good = CommandReport("read", "ok", 0.1, True)
    bad = CommandReport("import x", "failed", 0.1, False, "ModuleNotFoundError: x")
    report = WarmReport((WorkerReport(1, (good, bad), 0.2), WorkerReport(2, (good,), 0.1, "it is gone")), 0.3)
    assert (report.warm, report.failed) == ((1,), (2,))
    assert report.success_share == pytest.approx(2 / 3)
    assert report.failures == {"import x": 1}
    assert str(report) == "1 of 2 workers warm, 3 commands, 67% ok, 0.300 s"
