"""Puts the demo on a terminal, or prints it where there is none: options, the choice of the view, Ctrl-C, exit codes.

The first Ctrl-C (or SIGTERM) ends the story early; the second does not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable
from importlib.util import find_spec

from examples.demo.story import Record, Story
from millpond import StartFailed
from millpond.cores import cores

NEEDS = {"rich": "rich", "sklearn": "scikit-learn"}  # what is imported -> what is installed
BOUNDS = (("seconds", 2, 600), ("sessions", 1, 10_000), ("workers", 1, 64))
INTERRUPTED = 130  # the exit code shells give for SIGINT


def main(tokens: list[str]) -> int:
    """Give the demo; returns the exit code."""
    options = parse(tokens)
    missing = [package for module, package in NEEDS.items() if find_spec(module) is None]
    if missing:
        print(f"demo: this needs {' and '.join(missing)}: pip install 'millpond[demo]'", file=sys.stderr)
        return 2
    from rich.console import Console

    from examples.demo.screen import Lines, Screen, print_summary

    console = Console()
    is_plain = options.plain or not console.is_terminal or console.is_dumb_terminal
    try:
        with Lines(console) if is_plain else Screen(console) as view:
            record = asyncio.run(tell(options, view.note, view.show))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return INTERRUPTED
    except StartFailed as error:
        print(f"demo: the reader did not start: {error}", file=sys.stderr)
        return 1
    print_summary(console, record)
    return record.exit_code


async def tell(options: Namespace, note: Callable[[str], None], show: Callable[[Record], None]) -> Record:
    """Tell the story, and hear Ctrl-C meanwhile."""
    story = Story(options, note, show)
    logging.getLogger("millpond").addHandler(logging.NullHandler())  # the view says it; stderr would tear it
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, story.end)
    await story.tell()
    return story.record


def parse(tokens: list[str]) -> Namespace:
    """The options; one that is unknown or out of range ends the program with exit code 2."""
    parser = ArgumentParser(
        prog="demo",
        description="Serve a reader of handwritten digits to hundreds of sessions, and kill a worker half-way. Every "
        "answer is checked against a second copy of the model; the exit code is 1 if one was wrong. Ctrl-C ends it "
        "early, with the summary so far.",
    )
    size = min(max(2, cores()), 8)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to serve, after the cold start")
    parser.add_argument("--sessions", type=int, default=300, help="sessions at once, each with a score in its worker")
    parser.add_argument(
        "--workers", type=int, default=size, help="worker processes at most (default: the cores, from 2 to 8)"
    )
    parser.add_argument("--kill", action=BooleanOptionalAction, default=True, help="kill a worker half-way")
    parser.add_argument("--plain", action="store_true", help="print lines instead of the live view")
    options = parser.parse_args(tokens)
    for name, lowest, highest in BOUNDS:
        if not lowest <= getattr(options, name) <= highest:
            parser.error(f"argument --{name}: must be from {lowest:,} to {highest:,}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
