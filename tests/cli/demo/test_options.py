"""What the command `demo` takes, and what it needs."""

from __future__ import annotations

import pytest
from cyclopts import CycloptsError

from millpond.cli import app as commands
from millpond.cli.app import app


@pytest.mark.parametrize(
    "tokens",
    [
        *(["--seconds", "1"], ["--seconds", "soon"], ["--sessions", "0"], ["--workers", "65"], ["--port", "65536"]),
        *(["--speed", "9"], ["--no-plain"]),
    ],
)
def test_an_option_out_of_range_starts_nothing(tokens):
    """What is wrong with the command line is told before anything else, and names the option."""
    with pytest.raises(CycloptsError) as wrong:
        app(["demo", *tokens], exit_on_error=False, print_error=False)
    assert tokens[0] in str(wrong.value)


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch, capsys):
    """Exit code 2 and one line, no traceback."""
    monkeypatch.setattr(commands, "NEEDED_BY_DEMO", ("no_such_module",))
    with pytest.raises(SystemExit) as ended:
        app(["demo"], exit_on_error=False)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "millpond: this needs no_such_module: pip install 'millpond[demo]'\n"
