"""The report: finds the handler, measures each way with a progress bar, and prints one table."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from millpond import PoolError
from millpond.cli.exit_codes import FAILED, USAGE
from millpond.cli.terminal import exit_with, say_json
from millpond.cli.warm_report.measure import WAYS, Measured, measure
from millpond.logger.escaping import escaped

TABLE_WIDTH = 72  # a terminal that is narrower would cut the names of the ways
TITLE = "{}: from the death of a worker to the next one's first answer"
HEAD = ("", "first answer p50", "p99", "PSS of one more worker", "CPU while starting")


def load_handler(name: str, as_json: bool = False) -> type:
    """The class of `module:Class`, looked for in the working directory as well; exits with what is wrong."""
    module_name, _, class_name = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # the module's own code runs, and may raise anything
        exit_with(f"there is no handler {name!r}: {type(error).__name__}: {error}", USAGE, as_json)
    if not isinstance(found, type):
        exit_with(f"{name!r} is no class", USAGE, as_json)
    return found


def report(name: str, samples: int, as_json: bool = False) -> None:
    """Measure all four ways and print them; exits with what is wrong if no worker can be had."""
    handler = load_handler(name, as_json)
    try:
        results = asyncio.run(_measure_all(handler, samples, Console(stderr=True)))
    except PoolError as error:
        exit_with(f"{name} cannot be measured: {error}", FAILED, as_json)
    if as_json:
        say_json({"handler": name, "ways": [figures(one) for one in results]})
    else:
        show(name, results, Console())


def figures(one: Measured) -> dict[str, Any]:
    """A row's figures, in seconds and bytes."""
    last = quantiles(one.answers, n=100, method="inclusive")[98] if len(one.answers) > 1 else one.answers[0]
    return {
        "way": one.way,
        "first_answer_p50_s": median(one.answers),
        "first_answer_p99_s": last,
        "pss_bytes": round(one.pss_mb * 1e6),
        "start_cpu_s": median(one.cpu),
    }


def show(name: str, results: list[Measured], console: Console) -> None:
    """Print the table, or one figure a line where that has no room."""
    if console.width >= TABLE_WIDTH:
        console.print(table(name, results))
        return
    console.print(escape(TITLE.format(escaped(name))), highlight=False)
    for one in results:
        console.print(one.way, style="bold")
        for head, cell in zip(HEAD[1:], cells(one), strict=True):
            console.print(f"  {head:<22} {cell:>10}", highlight=False)


async def _measure_all(handler: type, samples: int, console: Console) -> list[Measured]:
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = []
    with Progress(*columns, console=console, transient=True) as progress:
        for way in WAYS:
            bar = progress.add_task(way, total=samples + 1)
            results.append(await measure(way, handler, samples, lambda bar=bar: progress.advance(bar)))  # type: ignore[misc]
    return results


def table(name: str, results: list[Measured]) -> Table:
    """One row a way."""
    made = Table(title=escape(TITLE.format(escaped(name))))
    for column in HEAD:
        made.add_column(column, justify="left" if not column else "right")
    for one in results:
        made.add_row(one.way, *cells(one))
    return made


def cells(one: Measured) -> tuple[str, str, str, str]:
    """A row's figures as people read them."""
    found = figures(one)
    return (
        f"{found['first_answer_p50_s'] * 1e3:,.1f} ms",
        f"{found['first_answer_p99_s'] * 1e3:,.1f} ms",
        f"{found['pss_bytes'] / 1e6:,.1f} MB",
        f"{found['start_cpu_s'] * 1e3:,.0f} ms",
    )
