"""The command `doctor`: runs the checks and tells what they find."""

from __future__ import annotations

import dataclasses
import sys

from millpond.cli.doctor import limits, surroundings
from millpond.cli.doctor.finding import Finding
from millpond.cli.exit_codes import FAILED
from millpond.cli.terminal import say, say_json, waiting, width

CHECKS = (*limits.CHECKS, *surroundings.CHECKS)
MARKS = {"ok": "ok     ", "warning": "WARNING", "wrong": "WRONG  "}


def doctor(as_json: bool) -> None:
    """Tell what is found; exits with 1 if anything is wrong."""
    with waiting("looking at this machine"):
        found = [finding for check in CHECKS for finding in check()]
    if as_json:
        say_json({"findings": [dataclasses.asdict(one) for one in found]})
    else:
        for one in found:
            say(_told(one))
    if any(one.level == "wrong" for one in found):
        sys.exit(FAILED)


def _told(one: Finding) -> str:
    from textwrap import wrap

    room = width() - 8
    lines = wrap(f"{one.about}: {one.text}", room) or [""]
    lines += [f"-> {line}" if not at else f"   {line}" for at, line in enumerate(wrap(one.remedy, room - 3))]
    return "\n".join(f"{MARKS[one.level] if not at else '':8}{line}" for at, line in enumerate(lines))
