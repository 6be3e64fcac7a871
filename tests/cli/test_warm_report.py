"""The warm report: finds the handler, measures it in four ways, prints a table."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import ClassVar

import pytest
from rich.console import Console

from millpond.cli.exit_codes import FAILED, USAGE
from millpond.cli.warm_report.measure import WAYS, Measured, measure
from millpond.cli.warm_report.report import cells, figures, load_handler, report, show
from tests.warming.handlers import Cook


class Preloaded:
    """Cannot be made where its preload did not run, and says in which process that was."""

    shelf: ClassVar[dict[str, int]] = {}

    @classmethod
    def preload(cls) -> None:
        cls.shelf["loaded in"] = os.getpid()

    def __init__(self) -> None:
        self.loaded_in = self.shelf["loaded in"]

    def ask(self) -> int:
        return self.loaded_in


class Unwilling:
    """Cannot be started."""

    def __init__(self) -> None:
        raise OSError("no model file")


def test_the_handler_is_found_by_its_name():
    """As a pool would find it."""
    assert load_handler("tests.warming.handlers:Cook") is Cook


@pytest.mark.parametrize(
    "name", ["nowhere:Cook", "tests.warming.handlers:Baker", "Cook", "tests.warming.handlers:note"]
)
def test_what_is_no_handler_ends_the_command_with_a_sentence(name, capsys):
    """No traceback of ours; nothing was done."""
    with pytest.raises(SystemExit) as ended:
        load_handler(name)
    assert ended.value.code == USAGE
    assert capsys.readouterr().err.startswith("millpond: ")


def test_a_module_that_cannot_be_read_ends_the_command_with_a_sentence(tmp_path, monkeypatch, capsys):
    """Whatever its code raises."""
    (tmp_path / "half_a_handler.py").write_text("def (")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    with pytest.raises(SystemExit):
        load_handler("half_a_handler:X", as_json=True)
    assert "SyntaxError" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_is_measured(way):
    """As many answers as deaths, from as many new workers, and what one more weighs."""
    steps = []
    found = await measure(way, Cook, 2, lambda: steps.append(way))
    assert (len(found.answers), len(found.cpu), len(steps)) == (2, 2, 3)
    assert all(seconds > 0 for seconds in [*found.answers, *found.cpu])
    assert found.pss_mb > 0


@pytest.mark.parametrize(("way", "is_there_itself"), [("cold", True), ("imported", True), ("preloaded", False)])
async def test_without_an_image_each_worker_preloads_for_itself(way, is_there_itself):
    """A handler that needs what `preload()` loads is measured in each way, and the worker pays for the loading."""
    from millpond.cli.warm_report.measure import make_pool

    async with make_pool(way, Preloaded, max_workers=1) as pool:
        loaded_in = await pool.call("ask")
        assert (loaded_in in pool.statistics().pids.values()) is is_there_itself


@pytest.mark.parametrize("width", [40, 60, 72, 120])
def test_the_report_fits_the_terminal(width):
    """No name and no figure is cut, however narrow it is."""
    console = Console(width=width, file=io.StringIO())
    show("a:B", [Measured(way, [0.1129, 1.2345], [0.2], 214.2) for way in WAYS], console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for word in (*WAYS, "673.7 ms", "1,223.3 ms", "214.2 MB", "200 ms"):
        assert any(word in line for line in lines), word


def test_a_handler_that_cannot_start_ends_the_command_with_a_sentence(capsys):
    """What it raised is in it, and no traceback of ours."""
    with pytest.raises(SystemExit) as ended:
        report(f"{__name__}:Unwilling", 1)
    assert ended.value.code == FAILED
    said = capsys.readouterr().err
    assert "Unwilling cannot be measured: " in said
    assert "no model file" in said


def test_a_name_is_no_markup():
    """What stands in brackets is shown."""
    console = Console(width=120, file=io.StringIO())
    show("a:[bold]B[/x]", [Measured(way, [0.1], [0.2], 2.0) for way in WAYS], console)
    assert "a:[bold]B[/x]" in console.file.getvalue()


def test_a_row_says_milliseconds_and_megabytes():
    """Median and 99th percentile; one sample is both."""
    assert cells(Measured("cold", [0.1], [0.2], 3.04)) == ("100.0 ms", "100.0 ms", "3.0 MB", "200 ms")
    assert cells(Measured("spare", [0.001, 0.003], [0.2, 0.2], 0.0))[:2] == ("2.0 ms", "3.0 ms")


def test_the_figures_are_told_to_programs_in_seconds_and_bytes():
    """The same as people read."""
    told = figures(Measured("cold", [0.1, 0.2, 0.3], [0.01], 12.5))
    assert told == {
        "way": "cold",
        "first_answer_p50_s": 0.2,
        "first_answer_p99_s": pytest.approx(0.298),
        "pss_bytes": 12_500_000,
        "start_cpu_s": 0.01,
    }
