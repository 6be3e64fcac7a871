"""What commands print: text that a terminal cannot be tricked with, JSON for programs, progress for people who wait."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from millpond.logger.escaping import escaped


def say(text: str) -> None:
    """Print text, each line of it such that it moves no cursor and hides nothing."""
    print("\n".join(escaped(line) for line in text.split("\n")))


def say_json(value: Any) -> None:
    """Print one JSON object on one line, for programs."""
    print(escaped(json.dumps(value, ensure_ascii=False, default=_plain)))


def warn(text: str) -> None:
    """Print a text about the command itself on standard error, each line of it escaped as those of `say`."""
    lines = [escaped(line) for line in text.split("\n")]
    print("millpond: " + "\n".join(lines), file=sys.stderr)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something is under way, on standard error and on a terminal only."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(what)):
        yield


def width() -> int:
    """Columns of the terminal, at least 40."""
    from shutil import get_terminal_size

    return max(40, get_terminal_size().columns)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    return str(value)
