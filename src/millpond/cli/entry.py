"""The way in: says what to install when a command's libraries are missing, before anything imports them.

Comes before `app`, which needs them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec

from millpond.cli.exit_codes import FAILED, INTERRUPTED, USAGE
from millpond.cli.terminal import exit_with

NEEDS = ("cyclopts", "rich")


def check_installed(names: Iterable[str], extra: str) -> None:
    """Exit with the command that installs what is missing of these, if anything is."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        exit_with(f"this needs {' and '.join(missing)}: pip install 'millpond[{extra}]'", USAGE)


def _run() -> None:
    """Run the command; what is wrong with the command line is told as all errors are, to programs as JSON."""
    from cyclopts import CycloptsError

    from millpond.cli.app import app

    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows its number
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    words = sys.argv[1:]
    is_json = "--json" in words
    try:
        app(words, exit_on_error=False, print_error=not is_json)
    except CycloptsError as error:
        if is_json:
            exit_with(str(error), USAGE, is_json)
        sys.exit(USAGE)
    sys.stdout.flush()  # while a reader that left can still be told from a command that failed


def main() -> None:
    """Run the command line and exit with its code; where a library is missing, say how to install it."""
    check_installed(NEEDS, "cli")
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
