"""The screen of `top`: follows a pool's events on one connection, and draws what `figures` makes of them.

What users named is text here, never markup; only what is asked of the server moves anything.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any, ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.widgets import DataTable, Footer, Static

from millpond.cli.exit_codes import INTERRUPTED
from millpond.cli.top import figures
from millpond.cli.top.figures import COLUMNS, SORTS, Seen
from millpond.errors import AccessDenied, PoolError
from millpond.logger.escaping import escaped

HEARD = (
    *("snapshot", "breaker", "alert", "optimizer"),
    *(f"pool.{name}" for name in ("degraded", "restored", "draining", "closing", "error", "stalled", "command")),
    *(f"worker.{name}" for name in ("ready", "killed", "start_failed", "gone", "unhealthy")),
)
ALERTS_CHANGED = ("alert.firing", "alert.resolved", "missed")
LOW, NARROW = 20, 60  # lines and columns below which there is room for the most important only
HIGH = 30  # lines from which there is room for everything
STALE_S = 3.5  # without a snapshot
AGAIN_S = 1.0  # until a broken connection is made again
LONGEST = 24  # columns of an operation's name
STYLES = {
    figures.WELL: "bold #6ea8fe",
    figures.BUSY: "bold #000000 on #f0b429",
    figures.BAD: "bold #ffffff on #b3261e",
}
STATES = {"busy": "#6ea8fe", "draining": "#f0b429"}  # of workers


class Top(App[None]):
    """The essentials of one pool, each second."""

    TITLE = "millpond top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #verdict, #numbers { height: auto; padding: 0 1; }
    #workers { height: auto; }
    #events { height: 1fr; padding: 0 1; border-top: solid $primary; }
    #numbers, #happened { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("q", "quit", "Quit"),
        Binding("p", "pause", "Pause"),
        Binding("s", "sort", "Sort"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("right", "switch(1)", "Pool", priority=True),
        Binding("left", "switch(-1)", "Pool before", show=False, priority=True),
        *(Binding(str(number), f"pool({number - 1})", show=False) for number in range(1, 10)),
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True),
    ]

    def __init__(self, url: str, names: list[str], first: str) -> None:
        super().__init__()
        self._url = url
        self._names = names
        self._pool = first
        self._seen = Seen()
        self._sort = SORTS[0]
        self._is_paused = False
        self._trouble = ""  # why nothing comes
        self._heard_at = time.monotonic()

    def compose(self) -> ComposeResult:
        """The parts, from the top down."""
        yield Static(id="verdict")
        yield Static(id="numbers")
        yield DataTable(id="workers", cursor_type="row", zebra_stripes=False)
        with VerticalScroll(id="events"):
            yield Static(id="happened")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begin."""
        for name in COLUMNS:
            self.query_one(DataTable).add_column(Text(name, justify="left"), key=name)
        self.set_interval(1.0, self._draw)
        self.follow(self._pool)

    @work(exclusive=True, group="follow")
    async def follow(self, pool: str) -> None:
        """Follow a pool until another is chosen; a broken connection is made again."""
        from millpond import Client

        self._pool, self._seen, self._trouble, self._heard_at = pool, Seen(), "", time.monotonic()
        self._draw()
        last: int | None = None
        async with Client(self._url, pool=pool) as client:
            await self._look_back(client)
            while True:
                following, is_new = client.events(*HEARD, last=last), True
                try:
                    async for event in following:
                        is_new = is_new or event["event"] in ALERTS_CHANGED
                        if is_new and event["event"] == "snapshot":
                            await self._ask_more(client, event["snapshot"])
                            is_new = False
                        self._take(event)
                    self._trouble = "the server stopped"
                except PoolError as error:
                    self._trouble = f"{error.code}: {error}"
                    if isinstance(error, AccessDenied):
                        last = None
                last = following.last if following.last is not None else last
                self._draw()
                await asyncio.sleep(AGAIN_S)

    async def _look_back(self, client: Any) -> None:
        """The minutes before; where they cannot be had, the events will say why."""
        fields = ",".join((*figures.ENDINGS, *figures.HISTORY))
        try:
            self._seen.begin_with(await client.get("history", seconds=figures.KEPT_S, resolution=1, fields=fields))
            self._seen.look_back((await client.get("workers"))["gone"])
        except PoolError as error:
            self._trouble = f"{error.code}: {error}"

    async def _ask_more(self, client: Any, snapshot: dict[str, Any]) -> None:
        """Which alerts fire and what was decided last: what was missed while nobody listened is in no event."""
        if snapshot["firing"] is not None:
            self._seen.firing = (await client.get("alerts"))["firing"]
        if snapshot["optimizer"] is not None and self._seen.decision is None:
            decisions = (await client.get("journal", limit=1))["decisions"]
            self._seen.decision = decisions[0] if decisions else None

    def _take(self, event: dict[str, Any]) -> None:
        self._trouble, self._heard_at = "", time.monotonic()
        self._seen.take(event)
        if event.get("event") == "snapshot":
            self._draw()

    # Drawing

    def _draw(self) -> None:
        if not self._is_paused:
            self._draw_all()

    def _draw_all(self) -> None:
        columns = max(20, self.size.width - 3)
        self.query_one("#verdict", Static).update(self._verdict(columns))
        if self._seen.snapshot:
            self.query_one("#numbers", Static).update(self._numbers(columns))
            self._fill()
        self.query_one("#happened", Static).update(self._happened())

    def on_resize(self, event: Resize) -> None:
        """The terminal has another size: where there is little room, workers come before what happened."""
        self.query_one("#events").display = event.size.height >= LOW
        self.query_one("#workers").styles.max_height = max(4, (event.size.height - 12) // 2)
        self._draw()

    def _verdict(self, columns: int) -> Text:
        name = _fit(self._pool, max(8, columns - 34))
        of = f" ({self._names.index(self._pool) + 1} of {len(self._names)})" if len(self._names) > 1 else ""
        head = Text.assemble((name + of, "bold"), "  ")
        if not self._seen.snapshot:
            return head.append(escaped(self._trouble) or "connecting")
        word, tone, reason = figures.verdict(self._seen)
        head.append(f" {word} ", STYLES[tone])
        if self._is_paused:
            head.append(" paused ", "bold reverse")
        silent = time.monotonic() - self._heard_at
        if self._trouble or silent > STALE_S:
            head.append(f"  {silent:.0f} s old", "bold red")
            head.append(f": {escaped(self._trouble) or 'the server is silent'}; connecting again")
        if reason:
            head.append(f"\n{escaped(reason)}")
        most = 0 if columns < NARROW else 3 if self.size.height < HIGH else None
        for line in figures.lost_points(self._seen)[:most]:
            head.append(f"\n{escaped(line)}", "dim")
        return head

    def _numbers(self, columns: int) -> Text:
        lines, line = [], ""
        for piece in figures.numbers(self._seen):
            joined = f"{line}  {piece}" if line else piece
            if len(joined) > columns:
                lines.append(line)
                joined = piece
            line = joined
        lines += [line, figures.bar(figures.utilization(self._seen), columns)]
        lines += figures.sparklines(self._seen, columns)
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")

    def _fill(self) -> None:
        table = self.query_one(DataTable)
        row, scroll = table.cursor_row, table.scroll_y
        table.clear()
        for key, column in table.columns.items():
            column.label = Text(str(key.value), "underline" if key.value == self._sort else "")
        for cells in figures.workers(self._seen, self._sort):
            number, state, runs, *rest = cells
            shown = [Text(number, justify="right"), Text(state, STATES.get(state, "")), Text(_fit(runs, LONGEST))]
            table.add_row(*shown, *(Text(cell, justify="right") for cell in rest))
        table.move_cursor(row=min(row, max(0, table.row_count - 1)))
        table.scroll_y = scroll

    def _happened(self) -> Text:
        lines = Text(no_wrap=True, overflow="ellipsis")
        for alert, tone in figures.alerts(self._seen):
            lines.append("firing", STYLES[tone]).append(f" {escaped(alert)}\n")
        if self._seen.decision is not None:
            decision = self._seen.decision
            lines.append("decided", "bold").append(f" {decision['kind']}: {escaped(decision['reason'])}\n")
        for event in self._seen.events:
            at = datetime.fromtimestamp(event["wall"]).strftime("%H:%M:%S")
            lines.append(f"{at} ", "dim")
            lines.append(escaped(figures.happened(event)) + "\n")
        return lines

    # Keys

    def action_pause(self) -> None:
        """Hold what is shown, or go on."""
        self._is_paused = not self._is_paused
        self._draw_all()

    def action_interrupt(self) -> None:
        """Quit by Ctrl-C, with the exit code that commands have then."""
        self.exit(return_code=INTERRUPTED)

    def action_sort(self) -> None:
        """Sort the workers by the next column."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._draw_all()

    def action_switch(self, by: int) -> None:
        """Show the next pool."""
        self.action_pool((self._names.index(self._pool) + by) % len(self._names))

    def action_pool(self, number: int) -> None:
        """Show a pool by its place."""
        if number < len(self._names) and self._names[number] != self._pool:
            self.query_one(DataTable).clear()
            self._is_paused = False
            self.follow(self._names[number])

    def action_help(self) -> None:
        """Say what the keys do."""
        self.notify(
            "q quits, p pauses, s sorts the workers by the next column, tab, up and down move, left and right or 1 to "
            "9 show another pool.",
            title="Keys",
            timeout=8,
        )


def _fit(text: str, columns: int) -> str:
    """A name of users on one line, in at most so many columns, wide letters counted as two."""
    shown = escaped(text)
    return shown if len(shown.encode()) <= columns else set_cell_size(shown, columns).rstrip()
