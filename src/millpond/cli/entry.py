"""The way in: says what to install when a command's libraries are missing, before anything imports them.

Comes before `app`, which needs them.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

APP_NEEDS = {"cyclopts": "cyclopts", "rich": "rich"}  # what is imported -> what is installed
INTERRUPTED = 130  # the exit code shells give for SIGINT


def main() -> None:
    """Run the command line and exit with its code."""
    demand(APP_NEEDS, "cli")
    try:
        from millpond.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def demand(modules: dict[str, str], extra: str) -> None:
    """Exit with the command that installs what is missing, if anything is: the `extra` that has it all."""
    missing = missing_of(modules)
    if missing:
        print(f"millpond: this needs {' and '.join(missing)}: pip install 'millpond[{extra}]'", file=sys.stderr)
        sys.exit(2)


def missing_of(modules: dict[str, str]) -> list[str]:
    """What would have to be installed for these modules to be importable."""
    return [package for module, package in modules.items() if find_spec(module) is None]
