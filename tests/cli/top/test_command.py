"""How `millpond top` begins: what is wrong is told before the screen is taken."""

from __future__ import annotations

import pytest

from millpond.cli.app import app
from millpond.cli.exit_codes import USAGE


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_without_a_terminal_it_says_what_to_use(capsys, monkeypatch, term):
    """Standard output is no terminal here, whatever the variable says."""
    monkeypatch.setenv("TERM", term)
    with pytest.raises(SystemExit) as ended:
        app(["top"])
    assert ended.value.code == USAGE
    assert "millpond status --watch" in capsys.readouterr().err
