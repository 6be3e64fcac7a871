"""The page on the command line tells the commands, options and exit codes that there are."""

from __future__ import annotations

import re

from millpond.cli import exit_codes
from millpond.cli.app import app
from tests.docs.pages import PAGES

PAGE = PAGES["docs/command-line.md"]


def test_every_command_has_a_row():
    """And no row is about one that does not exist."""
    named = {name.split()[0] for name in re.findall(r"^\| `millpond ([^`]+)`", PAGE, re.MULTILINE)}
    assert named == {name for name in app if not name.startswith("-")}


def test_every_exit_code_has_a_row():
    """With the meaning that the source gives it."""
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) +\| (.+?) +\|$", PAGE, re.MULTILINE)}
    assert rows == exit_codes.MEANINGS


def test_the_options_of_asking_are_those_of_the_commands():
    """Each stands in the table with its variable."""
    arguments = app["status"].assemble_argument_collection()
    names = {name for argument in arguments for name in argument.names if name in ("--url", "--pool", "--json")}
    assert names == set(re.findall(r"^\| `(--\w+)`", PAGE, re.MULTILINE))
