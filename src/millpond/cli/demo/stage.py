"""Puts the demo on a terminal, or prints it where there is none: chooses the view, hears Ctrl-C, prints the summary.

The first Ctrl-C (or SIGTERM) ends the story early; the second does not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from rich.console import Console

from millpond.cli.demo.lines import Lines
from millpond.cli.demo.screen import Screen
from millpond.cli.demo.story import Plan, Story
from millpond.cli.demo.summary import print_summary
from millpond.cli.entry import INTERRUPTED
from millpond.errors import StartFailed


def perform(plan: Plan, *, plain: bool) -> int:
    """Give the demo; returns the exit code."""
    console = Console()
    view = Lines(console) if plain or not console.is_terminal or console.is_dumb_terminal else Screen(console)
    try:
        with view:
            story = asyncio.run(_tell(plan, view))
    except asyncio.CancelledError:
        return INTERRUPTED
    except StartFailed as error:
        print(f"millpond: the reader did not start: {error}", file=sys.stderr)
        return 1
    print_summary(console, story.report)
    return story.report.exit_code


async def _tell(plan: Plan, view: Lines | Screen) -> Story:
    story = Story(plan, view)
    logging.getLogger("millpond").addHandler(logging.NullHandler())  # the view says it; stderr would tear it
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, story.end)
    await story.tell()
    return story
