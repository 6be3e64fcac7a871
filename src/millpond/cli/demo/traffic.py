"""The traffic of one pool: calls that come at random moments, as many a second as the plan says, whatever became of
those before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from millpond.cli.demo.players import Player, Venue, look

LOOKS = 0.2  # share of calls that belong to no session
TICK_S = 0.01
LONGEST_TICK_S = 0.1  # calls of a longer pause of this program do not all come at once


class Traffic:
    """Calls of a pool; `rate` says how many come a second now."""

    def __init__(self, venue: Venue, sessions: int, rate: Callable[[], float]) -> None:
        self._venue, self._rate = venue, rate
        self._players = [Player(venue, f"player-{number}") for number in range(sessions)]

    async def run(self, is_over: asyncio.Event) -> None:
        """Let calls come until it is over, then wait for the answers that are under way."""
        due, loop = self._venue.random.expovariate(1.0), asyncio.get_running_loop()
        then = loop.time()
        async with asyncio.TaskGroup() as calls:
            while not is_over.is_set():
                await asyncio.sleep(TICK_S)
                now = loop.time()
                due -= self._rate() * min(now - then, LONGEST_TICK_S)
                then = now
                while due <= 0:  # gaps between calls are exponential: they come independently of each other
                    calls.create_task(self._call())
                    due += self._venue.random.expovariate(1.0)

    async def _call(self) -> None:
        """One call: of a player who waits for no answer, else of anybody."""
        random = self._venue.random
        player = random.choice(self._players)
        if player.is_playing or random.random() < LOOKS:
            await look(self._venue)
        else:
            await player.play()
