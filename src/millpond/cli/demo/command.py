"""Carries `millpond demo` out: makes the server, chooses the view, hears Ctrl-C, and ends with a summary and a code.

The first Ctrl-C (or SIGTERM, SIGHUP) ends the story early; the second does not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import psutil
import uvloop
from rich.console import Console

from millpond.cli.demo.screen import Lines, Screen
from millpond.cli.demo.serving import make_pools, make_server
from millpond.cli.demo.story import Choices, Story
from millpond.cli.demo.summary import print_summary
from millpond.cli.exit_codes import CANNOT_LISTEN, CANNOT_OPEN, INTERRUPTED
from millpond.cli.serve.start_failure import told
from millpond.cli.terminal import exit_with
from millpond.cores import cores
from millpond.http.server.listening import CannotListen
from millpond.http.server.server import CannotOpen

BY_ITSELF_S = 60.0  # of traffic, where nobody is there to press Ctrl-C


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line asks for; `None` leaves it to the machine and the terminal."""

    seconds: float | None
    sessions: int
    workers: int | None
    kill: bool
    plain: bool
    browser: bool
    port: int | None


class Told(logging.Handler):
    """Has what is logged as an error told in the view: on standard error it would tear the screen."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(f"error in {record.name}: {record.getMessage()}")


def demo(asked: Asked) -> None:
    """Give the demo, and exit: with 0 if every answer was right."""
    console = Console()
    is_live = console.is_terminal and not console.is_dumb_terminal and not asked.plain
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="millpond-demo-"))
        try:
            server = make_server(make_pools(asked.workers or min(max(2, cores()), 8)), asked.port, folder)
        except CannotListen as error:
            exit_with(str(error), CANNOT_LISTEN)
        view: Screen | Lines = Screen(console) if is_live else Lines(console)
        stack.enter_context(view)
        logging.basicConfig(handlers=[Told(view.note)])
        story = Story(_choices(asked, is_live), server, view, _started())
        try:
            _tell(story, stack)
        except CannotOpen as failed:
            stack.close()
            exit_with(told(failed.error, failed.name), CANNOT_OPEN)
    print_summary(console, story.record)
    sys.exit(story.record.exit_code)


def _choices(asked: Asked, is_live: bool) -> Choices:
    return Choices(
        seconds=asked.seconds or (None if is_live else BY_ITSELF_S),
        sessions=asked.sessions,
        kill=asked.kill,
        opens_browser=asked.browser and is_live,
    )


def _tell(story: Story, stack: ExitStack) -> None:
    """Tell the story, and hear Ctrl-C meanwhile."""

    async def telling() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, story.end)
        await story.tell()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(telling())
        if story.is_dropped:
            stack.close()
            sys.stdout.flush()
            os._exit(INTERRUPTED)  # the wardens end what runs


def _started() -> float:
    """When this program began, by the clock of the story."""
    return time.perf_counter() - (time.time() - psutil.Process().create_time())
