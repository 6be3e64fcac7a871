"""The summary at the end of the demo: the figures of each pool, what the kills cost, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from millpond.cli.demo.record import PoolRecord, Record, count
from millpond.cli.demo.screen import milliseconds

LABEL = 15  # columns


def print_summary(console: Console, record: Record) -> None:
    """Print it, for any width of terminal."""
    console.print()
    if record.cold is not None and record.opened_s is not None:
        cold = record.cold
        console.print(
            f"Ready after {record.opened_s:.1f} s (import {cold['import_s']:.2f} s, training {cold['train_s']:.2f} s, "
            f"once for all workers); traffic for {record.served_s:.0f} s, {count(record.phases, 'phase')}."
        )
    if record.answered:
        console.print(_table(record))
        for one in record.pools:
            for line in _cost(one):
                console.print(line)
    console.print()
    console.print(verdict(record))


def _table(record: Record) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True, style="dim", width=LABEL)
    for _ in record.pools:
        drawn.add_column(no_wrap=True, justify="right")
    columns = [dict(_figures(one, record.served_s)) for one in record.pools]
    for label in dict.fromkeys(label for column in columns for label in column):
        drawn.add_row(label, *(column.get(label, "0") for column in columns), style="bold" if not label else "")
    return drawn


def _figures(one: PoolRecord, served_s: float) -> Iterator[tuple[str, str]]:
    tally = one.tally
    yield "", one.name
    yield "calls", f"{tally.asked:,}"
    yield "answered", f"{tally.answered:,}"
    yield "refused", f"{tally.refused:,}"
    yield "too late", f"{tally.expired:,}"
    yield "answers/s", f"{tally.answered / max(served_s, 0.1):,.0f}"
    yield "p50", milliseconds(tally.percentile(0.5))
    yield "p99", milliseconds(tally.percentile(0.99))
    yield "most workers", f"{one.most_wanted:,} of {one.limit:,}"
    yield "decisions", f"{one.decisions:,}"
    yield "alerts fired", f"{one.fired:,}"
    yield "workers killed", "0" if one.gone is None else "1"
    yield "calls lost", f"{tally.died:,}"
    yield "sessions kept", f"{one.restored:,}"
    yield "sessions lost", f"{one.lost:,}"
    for code, number in sorted(tally.other_failures.items()):
        yield code, f"{number:,}"
    yield "wrong answers", f"{tally.wrong:,}"
    yield "wrong scores", f"{tally.miscounted:,}"


def _cost(one: PoolRecord) -> Iterator[str]:
    """What the kill in a pool cost, in a sentence."""
    if one.gone is None:
        return
    ready = "none was ready before the end"
    if one.replaced_s is not None:
        ready = f"the next was ready {one.replaced_s * 1000:.0f} ms later"
    told = f", told so at their next call; {one.tally.reopened:,} of them are open anew" if one.lost else ""
    yield (
        f"{one.name}: a worker was killed, {ready}. Its sessions: {one.restored:,} went on from their last answer, "
        f"{one.lost:,} lost{told}."
    )


def verdict(record: Record) -> Text:
    """One sentence."""
    early = "Ended early. " if record.is_cut_short else ""
    if record.mistakes:
        return Text(f"{early}There were wrong answers.", style="bold red")
    if not record.answered:
        return Text(f"{early}Nothing was served.", style="yellow")
    if any(one.tally.other_failures for one in record.pools):
        return Text(f"{early}Every answer went to the call that asked, but some calls failed.", style="yellow")
    return Text(f"{early}Every answer was right and went to the call that asked.", style="bold green")
