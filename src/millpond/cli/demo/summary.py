"""The last thing the demo says: each figure, and what it means, for any width of terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from millpond.cli.demo.mishap import count
from millpond.cli.demo.report import Report
from millpond.cli.demo.screen import milliseconds

Line = tuple[str, str, str]  # what it is, the figure, and a word on it


def print_summary(console: Console, report: Report) -> None:
    """Print the figures, and the verdict."""
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True, style="dim")
    drawn.add_column(no_wrap=True, justify="right", style="bold")
    drawn.add_column()
    for line in lines(report):
        drawn.add_row(*line)
    console.print()
    console.print(drawn)
    console.print()
    console.print(verdict(report))


def lines(report: Report) -> Iterator[Line]:
    """The figures there are: an early end has fewer."""
    tally = report.tally
    if report.opened_s is not None and report.cold is not None:
        whole = f"import {report.cold.import_s:.2f} s, training {report.cold.train_s:.2f} s, once for all workers"
        yield "cold start", f"{report.opened_s:.2f} s", whole
    if not tally.calls:
        return
    p50, p99 = tally.percentiles()
    yield "calls", f"{tally.calls:,}", f"from {count(report.sessions, 'session')} in {report.served_s:.1f} s"
    yield "calls/s", f"{report.calls_per_s:,.0f}", "answered"
    yield "p50", milliseconds(p50), "as the callers saw it"
    yield "p99", milliseconds(p99), ""
    if report.vitals is not None:
        seen = f"p50 {milliseconds(report.vitals.p50_s)}, p99 {milliseconds(report.vitals.p99_s)}"
        yield "health", f"{report.vitals.health:.0f} of 100", f"{report.vitals.state}; {seen} by the pool's own metrics"
    yield from losses(report)
    yield "wrong answers", f"{tally.wrong:,}", f"of {tally.answered:,}, held against a second copy of the model"
    yield "wrong scores", f"{tally.miscounted:,}", "of sessions, held against their players' own"


def losses(report: Report) -> Iterator[Line]:
    """What the kill cost."""
    mishap, tally = report.mishap, report.tally
    yield "workers lost", str(int(mishap.gone is not None)), replacement(report)
    yield "calls lost", f"{tally.lost:,}", "their callers were told: it may have run" if tally.lost else ""
    yield "sessions lost", f"{mishap.gone.sessions if mishap.gone else 0:,}", reopening(report)
    for code, number in tally.failures.most_common():
        yield "calls failed", f"{number:,}", code


def replacement(report: Report) -> str:
    """How soon there were as many workers as before."""
    if report.mishap.gone is None:
        return ""
    if report.mishap.replaced_s is None:
        return "killed; no replacement was ready before the end"
    return f"killed; replaced after {report.mishap.replaced_s * 1000:.0f} ms"


def reopening(report: Report) -> str:
    """What became of the lost sessions."""
    tally = report.tally
    return f"{tally.told:,} told so at their next call, {tally.reopened:,} opened anew" if tally.told else ""


def verdict(report: Report) -> Text:
    """One sentence."""
    early = "Ended early. " if report.is_cut_short else ""
    if report.tally.mistakes:
        return Text(f"{early}There were wrong answers.", style="bold red")
    if not report.tally.answered:
        return Text(f"{early}Nothing was served.", style="yellow")
    if report.tally.failures:
        return Text(f"{early}Every answer went to the call that asked, but some calls failed.", style="yellow")
    return Text(f"{early}Every answer went to the call that asked.", style="bold green")
