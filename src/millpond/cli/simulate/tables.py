"""The figures as a table for people, the policies of one cold start beneath each other."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from millpond.cli.simulate.comparison import Comparison
from millpond.logger.escaping import escaped
from millpond.simulator import Score

WIDE = 1000  # columns, in which any table has room
HEAD = ("cold", "policy", "met", "p50 s", "p99 s", "worker-s", "x clv", "starts", "haste", "refused")
LEGEND = (
    "met: began within {wait:g} s, as {share:.2%} should; p50, p99: of the waits; mode {mode}\n"
    "x clv: worker-seconds over those of a clairvoyant pool, which knows what comes\n"
    "haste: starts no longer after a stop than a start takes"
)


def show(trace: str, rows: list[tuple[str, Score]], asked: Comparison, console: Console) -> None:
    """Print the table, or one figure a line where that has no room; each row has the name it is shown by."""
    slo, first = asked.slo, rows[0][1]
    title = f"{escape(escaped(trace))}: {first.scored:,} of {first.requests:,} requests scored, {first.span_s:,.0f} s"
    made = Table(title=title, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    shown = len(HEAD) - (not any(one.refused for _, one in rows))
    for column in HEAD[:shown]:
        made.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
    for number, (name, one) in enumerate(rows):
        if number and rows[number - 1][1].cold != one.cold:
            made.add_section()
        made.add_row(*cells(name, one)[:shown], style="" if one.attainment >= slo.share else "red")
    if Measurement.get(console, console.options.update_width(WIDE), made).maximum <= console.width:
        console.print(made)
    else:
        _show_in_lines(title, rows, console)
    console.print(LEGEND.format(wait=slo.wait, share=slo.share, mode=asked.mode), highlight=False, style="dim")
    lost, killed = sum(one.sessions_lost for _, one in rows), sum(one.busy_killed for _, one in rows)
    if lost or killed:
        console.print(f"{lost} sessions were lost, {killed} workers were ended while they ran a request")


def _show_in_lines(title: str, rows: list[tuple[str, Score]], console: Console) -> None:
    console.print(title, highlight=False)
    for name, one in rows:
        figures = cells(name, one)
        console.print(f"{name}, cold start {figures[0]}", style="bold", highlight=False)
        for head, cell in zip(HEAD[2:], figures[2:], strict=True):
            console.print(f"  {head:<10} {cell:>12}", highlight=False)


def cells(name: str, one: Score) -> tuple[str, ...]:
    """A row's figures as people read them."""
    clairvoyant = one.clairvoyant_worker_seconds
    return (
        f"{one.cold:g} s",
        name,
        f"{one.attainment:.2%}",
        _seconds(one.wait_p50),
        _seconds(one.wait_p99),
        f"{one.worker_seconds:,.0f}",
        f"{one.worker_seconds / clairvoyant:.2f}" if clairvoyant else "",
        f"{one.starts:,}",
        f"{one.restarts_within_cold:,}",
        f"{one.refused:,}",
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:,.3f}"
