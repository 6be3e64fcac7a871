"""The figures as a table for people, the policies of one cold start beneath each other."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from millpond.cli.simulate.options import Options
from millpond.simulator import Score

HEAD = (
    "cold",
    "policy",
    "met",
    "wait p50",
    "p99",
    "worker-s",
    "of clairvoyant",
    "starts",
    "stops",
    "in haste",
    "refused",
)


def show(trace: str, scores: list[Score], options: Options, console: Console) -> None:
    """Print the table."""
    slo, first = options.slo, scores[0]
    title = f"{trace}: {first.scored:,} of {first.requests:,} requests scored, {first.span_s:,.0f} s"
    goal = f"met: begun within {slo.wait:g} s; the objective is {slo.share:.2%}; mode {options.mode}"
    made = Table(title=title, caption=f"{goal}. In haste: starts within a cold start of a stop.")
    for column in HEAD:
        made.add_column(column, justify="left" if column == "policy" else "right")
    for before, one in zip([None, *scores], scores, strict=False):
        if before is not None and before.cold != one.cold:
            made.add_section()
        made.add_row(*cells(one), style="" if one.attainment >= slo.share else "red")
    console.print(made)
    lost, killed = sum(one.sessions_lost for one in scores), sum(one.busy_killed for one in scores)
    if lost or killed:
        console.print(f"{lost} sessions were lost, {killed} workers were ended while they ran a request")


def cells(one: Score) -> tuple[str, ...]:
    """A row's figures as people read them."""
    clairvoyant = one.clairvoyant_worker_seconds
    return (
        f"{one.cold:g} s",
        one.policy,
        f"{one.attainment:.2%}",
        _seconds(one.wait_p50),
        _seconds(one.wait_p99),
        f"{one.worker_seconds:,.0f}",
        f"{one.worker_seconds / clairvoyant:.2f}" if clairvoyant else "",
        f"{one.starts:,}",
        f"{one.stops:,}",
        f"{one.restarts_within_cold:,}",
        f"{one.refused:,}",
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:,.3f} s"
