"""What commands print: JSON that programs can read, and text that fits."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.cells import cell_len

from millpond.cli.exit_codes import USAGE
from millpond.cli.terminal import exit_with, in_columns, json_text, say_json, sparkline


def test_what_json_cannot_hold_is_written_as_what_it_can():
    """No `NaN`, which no reader of JSON takes; bytes in base64, wherever they are."""
    assert json.loads(json_text({"a": [float("nan"), float("inf"), 1.5], 2: b"x", b"k": None})) == {
        "a": [None, None, 1.5],
        "2": "eA==",
        "aw==": None,
    }
    assert json_text([b"x"]) == '["eA=="]'


def test_json_can_be_written_where_letters_cannot(monkeypatch):
    """To a terminal of few letters in escapes of JSON."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    say_json({"said": "\u65e5\U0001f600"})
    assert json.loads(out.buffer.getvalue()) == {"said": "\u65e5\U0001f600"}


@pytest.mark.parametrize("text", ["calls of many words that do not fit", "\u65e5\u672c" * 30, "a\x1b[2J\nb" * 9, ""])
def test_lines_are_no_wider_than_they_may_be(text):
    """Counted in columns, of which a wide letter takes two and an escape as many as it is printed in."""
    lines = in_columns(text, 20)
    assert max(map(cell_len, lines)) <= 20
    assert all(line.isprintable() for line in lines)


def test_an_error_is_a_sentence_or_one_object(capsys):
    """Escaped either way; each ends with the exit code."""
    for is_json in (False, True):
        with pytest.raises(SystemExit) as ended:
            exit_with("no \x1b[2J", USAGE, is_json)
        assert ended.value.code == USAGE
    said = capsys.readouterr()
    assert said.err == "millpond: no \\u001b[2J\n"
    assert json.loads(said.out) == {"error": {"code": "usage", "message": "no \x1b[2J"}}


def test_a_sparkline_is_as_wide_as_it_may_be():
    """The newest values, from nothing to the highest; none where there is no room."""
    assert sparkline([9.0, 0.0, 4.0, 8.0], 3) == "▁▅█"
    assert sparkline([1.0], 0) == sparkline([1.0], -5) == ""
