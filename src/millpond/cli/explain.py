"""The command `explain`: the story of what a pool's optimizer did and why, from its journal."""

from __future__ import annotations

from pathlib import Path

from millpond import explain as story_of
from millpond.cli.exit_codes import USAGE
from millpond.cli.terminal import exit_with, say, say_json

ENDINGS = (".db", ".sqlite", ".sqlite3")


def explain(path: str | None, pool: str | None, last: int, as_json: bool = False) -> None:
    """Print the story; exits with what is wrong if there is none."""
    try:
        told = story_of(path or _only_file(), pool=pool, last=last)
    except (OSError, ValueError) as error:
        exit_with(str(error), USAGE, as_json)
    if as_json:
        say_json({"story": told})
    else:
        say(told or "No decisions yet.")


def _only_file() -> str:
    """The one file of this folder that may hold a journal."""
    found = sorted(str(one) for one in Path().iterdir() if one.suffix in ENDINGS)
    if len(found) != 1:
        there = f"there are {', '.join(found)}" if found else "there is none here"
        raise ValueError(f"say which file holds the journal (the setting history_path): {there}")
    return found[0]
