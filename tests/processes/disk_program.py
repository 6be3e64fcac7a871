"""A program that counts in sessions with `durability="disk"` and says each acknowledged count, until it is killed.

First it says what each session has when the program begins. Sessions sleep, move and are stored meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import millpond

SESSIONS = 8


class Counter:
    """A session of it counts, beside some ballast that makes its state a delta's worth."""

    def count(self, *, session: Any) -> int:
        session.state.setdefault("ballast", bytes(5_000))
        session.state["n"] = session.state.get("n", 0) + 1
        return session.state["n"]

    def value(self, *, session: Any) -> int:
        return session.state.get("n", 0)


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def count_on(session: Any, pause_s: float) -> None:
    while True:
        say("counted", session.id, await session.call("count"))
        await asyncio.sleep(pause_s)


async def main(path: str) -> None:
    settings = {"min_workers": 2, "max_workers": 2, "affinity": "hint", "sleep_after": 0.02}
    async with millpond.Pool(Counter, durability="disk", session_store=path, **settings) as pool:
        sessions = []
        for number in range(SESSIONS):
            session = await pool.session(f"{number}")
            try:
                value = await session.call("value")
            except millpond.SessionRestored:
                say("restored", session.id)
                value = await session.call("value")
            say("has", session.id, value)
            sessions.append(session)
        # Some are always in a worker, some sleep between any two of their calls.
        await asyncio.gather(*(count_on(session, 0.05 * (n % 2)) for n, session in enumerate(sessions)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
