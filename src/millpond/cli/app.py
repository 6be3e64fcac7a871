"""The commands and their options; each command's work is in a package of its own."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from millpond import __version__
from millpond.cli.entry import DEMO_NEEDS, demand
from millpond.cores import cores

app = App(
    name="millpond",
    help="A pool of warm, stateful Python worker processes.",
    version=f"millpond {__version__}",
    result_action="return_value",
)

Seconds = Annotated[float, Parameter(validator=Number(gte=2, lte=600))]
Sessions = Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))]
Workers = Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))]
Samples = Annotated[int, Parameter(validator=Number(gte=1, lte=1000))]


@app.command
def demo(
    *,
    seconds: Seconds = 30.0,
    sessions: Sessions = 300,
    workers: Workers = None,
    kill: bool = True,
    plain: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Serve a reader of handwritten digits to hundreds of sessions, and kill a worker half-way.

    Every answer is checked against a second copy of the model. The exit code is 1 if one was wrong. Ctrl-C ends it
    early, with the summary so far.

    Parameters
    ----------
    seconds
        How long to serve, after the cold start.
    sessions
        Sessions at once, each with a running score in its worker.
    workers
        Worker processes (default: the cores, at least 2 and at most 8).
    kill
        Kill a worker with SIGKILL half-way.
    plain
        Print lines instead of the live view, as when the output is no terminal.
    """
    demand(DEMO_NEEDS, "demo")
    from millpond.cli.demo.stage import perform
    from millpond.cli.demo.story import Plan

    count = workers or min(max(2, cores()), 8)
    sys.exit(perform(Plan(seconds=seconds, sessions=sessions, workers=count, kill=kill), plain=plain))


@app.command(name="warm-report")
def warm_report(handler: str, *, samples: Samples = 20) -> None:
    """Measure how soon a new worker of a handler answers: cold, imported, preloaded, and with a spare.

    Kills the worker of a pool of its own, again and again, and prints a table.

    Parameters
    ----------
    handler
        The handler as `module:Class`; it is made without arguments.
    samples
        Deaths for each of the four ways.
    """
    from millpond.cli.warm_report.report import report

    report(handler, samples)
