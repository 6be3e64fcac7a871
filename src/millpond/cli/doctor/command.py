"""The command `doctor`: runs the checks and tells what they find."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator

from millpond.cli.doctor import limits, surroundings
from millpond.cli.doctor.finding import Finding, warning
from millpond.cli.exit_codes import FAILED
from millpond.cli.terminal import in_columns, say, say_json, waiting, width

CHECKS = (*limits.CHECKS, *surroundings.CHECKS)
MARKS = {"ok": "ok     ", "warning": "WARNING", "wrong": "WRONG  "}


def doctor(as_json: bool) -> None:
    """Tell what is found; exits with 1 if anything is wrong."""
    with waiting("looking at this machine"):
        found = [finding for check in CHECKS for finding in _tried(check)]
    if as_json:
        say_json({"findings": [dataclasses.asdict(one) for one in found]})
    else:
        for one in found:
            say(_told(one))
    if any(one.level == "wrong" for one in found):
        sys.exit(FAILED)


def _tried(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; one that cannot look is a finding, too, and the others go on."""
    try:
        yield from check()
    except Exception as error:
        about = check.__name__.replace("_", " ")
        yield warning(
            about, f"it cannot be looked at: {type(error).__name__}: {error}", "run doctor as the pool's user"
        )


def _told(one: Finding) -> str:
    room = width() - 8
    remedy = in_columns(one.remedy, room - 3) if one.remedy else []
    lines = in_columns(f"{one.about}: {one.text}", room)
    lines += [f"-> {line}" if not at else f"   {line}" for at, line in enumerate(remedy)]
    return "\n".join(f"{MARKS[one.level] if not at else '':8}{line}" for at, line in enumerate(lines))
