"""The way into the command line, where what it needs may be missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from millpond import __version__
from millpond.cli import entry
from millpond.cli.app import app


def test_a_missing_extra_ends_with_the_command_that_installs_it(monkeypatch, capsys):
    """Exit code 2 and one line that names what is missing alone, no traceback."""
    monkeypatch.setattr(entry, "NEEDS", ("sys", "no_such_module"))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "millpond: this needs no_such_module: pip install 'millpond[cli]'\n"


def test_serving_says_what_it_needs(monkeypatch, capsys):
    """The commands that do not serve go without it."""
    monkeypatch.setattr("millpond.cli.app.NEEDED_TO_SERVE", ("sys", "no_such_server"))
    with pytest.raises(SystemExit) as ended:
        app(["serve", "a:B"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "millpond: this needs no_such_server: pip install 'millpond[http]'\n"


def test_version_is_the_packages(capsys):
    """`millpond --version` prints name and version."""
    app(["--version"])
    assert capsys.readouterr().out.strip() == f"millpond {__version__}"


@pytest.mark.parametrize("tokens", [["--samples", "0"], ["--samples", "soon"], ["--speed", "9"]])
def test_an_option_out_of_range_starts_nothing(tokens, capsys):
    """Bad options end with an exit code and a message that names the option."""
    with pytest.raises(SystemExit) as ended:
        app(["warm-report", "no_such_module:Handler", *tokens])
    assert ended.value.code != 0
    said = capsys.readouterr()
    assert tokens[0] in said.out + said.err


def test_the_way_in_needs_neither_cyclopts_nor_rich():
    """A bare install can import `millpond.cli`, to say what it lacks."""
    program = "import sys; import millpond.cli; print(sorted({'cyclopts', 'rich', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_wrong_command_line_is_told_to_programs_as_json(monkeypatch, capsys):
    """As every other error of a command with `--json`; to people as a sentence."""
    monkeypatch.setattr(sys, "argv", ["millpond", "resize", "--max-workers", "x", "--json"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (2, "")
    assert "--max-workers" in json.loads(said.out)["error"]["message"]
    monkeypatch.setattr(sys, "argv", ["millpond", "resize", "--max-workers", "x"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out, "--max-workers" in said.err) == (2, "", True)


def test_a_reader_that_leaves_ends_a_command_without_a_word():
    """As `millpond ... | head` does."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "millpond.cli", "--help"]
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")
