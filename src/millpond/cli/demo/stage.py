"""Puts the demo on a terminal, or prints it where there is none: chooses the view, hears Ctrl-C, prints the summary.

The first Ctrl-C (or SIGTERM) ends the story early; the second drops everything, the processes too.
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
from millpond.errors import StartFailed

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130  # the exit code shells give for SIGINT


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
    _hear_signals(story)
    await story.tell()
    return story


def _hear_signals(story: Story) -> None:
    """The first signal ends the story, the next one the whole task; the pool closes on either way."""
    loop, whole = asyncio.get_running_loop(), asyncio.current_task()
    assert whole is not None
    came: list[int] = []

    def hear(number: int) -> None:
        came.append(number)
        if len(came) == 1:
            story.end()
        else:
            whole.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, hear, number)
