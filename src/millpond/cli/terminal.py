"""What commands print: text that a terminal cannot be tricked with, JSON for programs, progress for people who wait."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from millpond.cli.exit_codes import USAGE
from millpond.logger.escaping import escaped


def say(text: str) -> None:
    """Print text, each line of it such that it moves no cursor and hides nothing."""
    print("\n".join(escaped(line) for line in text.split("\n")))


def say_json(value: Any) -> None:
    """Print one JSON object on one line, for programs."""
    print(escaped(json_text(value)))


def json_text(value: Any, indent: int | None = None) -> str:
    """A result as JSON: bytes in base64, what JSON has no number for as `null`, as the server's own answers have it."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    try:
        return json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False, default=_plain, indent=indent)
    except (ValueError, TypeError):  # a number that is not finite, or a key that is no text
        return json.dumps(_writable(value), ensure_ascii=not is_unicode, default=_plain, indent=indent)


def exit_with(why: str, code: int, is_json: bool = False) -> NoReturn:
    """Exit with a sentence, or with one JSON object that holds it."""
    if is_json:
        say_json({"error": {"code": "usage" if code == USAGE else "failed", "message": why}})
    else:
        warn(why)
    sys.exit(code)


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


def in_columns(text: str, room: int) -> list[str]:
    """Text as it is printed, in lines of at most so many columns: broken between words where it can be."""
    from rich.console import Console
    from rich.text import Text

    lines = Text(escaped(text)).wrap(Console(width=room), room, overflow="fold")
    return [line.plain.rstrip() for line in lines] or [""]


BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], columns: int) -> str:
    """The last values, each as a bar between nothing and the highest of them, in at most so many columns."""
    shown = values[-columns:] if columns > 0 else ()
    highest = max(shown, default=0.0) or 1.0
    return "".join(BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] for value in shown)


def width() -> int:
    """Columns of the terminal, at least 40."""
    from shutil import get_terminal_size

    return max(40, get_terminal_size().columns)


def _writable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _writable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _key(key: Any) -> Any:
    return key if isinstance(key, str | int | bool | None) else str(_plain(key))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    return str(value)
