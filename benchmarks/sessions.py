"""What sessions cost that sleep, move and survive: `python -m benchmarks.sessions [--quick] [--trace file.csv] [part]`.

Prints each figure with what it is held against, and fails if one is missed. Parts: move, wake, asleep, reply, disk,
kills, trace. The trace is recorded traffic that does not come with the project; without its path that part is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

import millpond
from benchmarks.sessions_handler import Notes
from benchmarks.sessions_kills import program_kills, worker_kills
from benchmarks.sessions_trace import most_at_once, recorded, replay

STATE_BYTES = 10 * 1024
MiB = 1024 * 1024
PAUSE_S = 0.02  # a worker is kept busy so long while a session is asked to move

Row = tuple[str, str, str, bool]


def quantiles_ms(seconds: list[float]) -> tuple[float, float]:
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1e3
    return float(p50), float(p99)


def row(name: str, seconds: list[float], p50_most: float, p99_most: float) -> Row:
    p50, p99 = quantiles_ms(seconds)
    held = f"at most {p50_most:g} / {p99_most:g} ms" if p50_most else f"p99 at most {p99_most:g} ms"
    return (
        f"{name}, p50 / p99",
        f"{p50:.2f} / {p99:.2f} ms",
        held,
        (not p50_most or p50 <= p50_most) and p99 <= p99_most,
    )


async def timed(call: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    begun = time.perf_counter()
    answer = await call()
    return answer, time.perf_counter() - begun


async def moves(is_quick: bool) -> AsyncIterator[Row]:
    """A call whose session has to leave a busy worker for an idle one, against the same call without a move."""
    moved: list[float] = []
    stayed: list[float] = []
    async with millpond.Pool(Notes, min_workers=2, max_workers=2, affinity="hint", sleep_after=None) as pool:
        session = await pool.session("mover")
        await session.call("hold", "bytes", STATE_BYTES)
        home = await session.call("where")
        for _ in range(100 if is_quick else 500):
            busy = asyncio.create_task(pool.call("pause", PAUSE_S))  # goes to the worker used last: the session's
            await asyncio.sleep(0.003)
            place, seconds = await timed(lambda: session.call("where"))
            (stayed if place == home else moved).append(seconds)
            home = place
            await busy
            await session.call("where")
    share = len(moved) / (len(moved) + len(stayed))
    yield "moves where one was due", f"{share:.1%}", "", True
    if moved:
        yield row("call with a move, 10 KB of state", moved, 1.5, 10.0)


async def all_asleep(pool: millpond.Pool, count: int) -> None:
    async with asyncio.timeout(60):
        while pool.statistics().sessions_asleep < count:
            await asyncio.sleep(0.01)


async def wakes(is_quick: bool) -> AsyncIterator[Row]:
    """Calls of sessions that sleep, one after another."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "sessions.db")
        for kind, most, where in (
            ("memory", 5.0, {}),
            ("SQLite", 15.0, {"session_store": path}),
            ('SQLite, "disk"', 15.0, {"session_store": path, "durability": "disk"}),
        ):
            settings = {"min_workers": 2, "max_workers": 2, "sleep_after": 0.1, **where}
            async with millpond.Pool(Notes, **settings) as pool:
                yield row(f"wake, {kind}, 10 KB of state", await woken(pool, 2 if is_quick else 10), 0.0, most)


async def woken(pool: millpond.Pool, rounds: int) -> list[float]:
    sessions = [await pool.session(f"{n}") for n in range(200)]
    for session in sessions:
        await session.call("hold", "bytes", STATE_BYTES)
    seconds: list[float] = []
    for _ in range(rounds):
        await all_asleep(pool, len(sessions))
        for session in sessions:
            seconds.append((await timed(lambda s=session: s.call("value")))[1])
    return seconds


async def asleep(is_quick: bool) -> AsyncIterator[Row]:
    """What 10,000 sleeping sessions add to the parent's memory, beyond their own states."""
    count, nbytes = 1_000 if is_quick else 10_000, 1024
    async with millpond.Pool(Notes, min_workers=2, max_workers=2, sleep_after=0.05) as pool:
        await settled(pool, 0, count // 10, nbytes)
        before = resident()
        await settled(pool, count // 10, count // 10 + count, nbytes)
        grown = resident() - before - count * nbytes
    yield (
        f"{count:,} sessions asleep, beyond their states",
        f"{grown / MiB:.1f} MiB",
        "at most 30 MiB",
        grown <= 30 * MiB,
    )


async def settled(pool: millpond.Pool, begin: int, end: int, nbytes: int) -> None:
    for number in range(begin, end):
        session = await pool.session(f"session {number}")
        await session.call("hold", "bytes", nbytes)
    await all_asleep(pool, end)


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def rate(kind: str, size: int, seconds: float, **settings: Any) -> float:
    """Counts a second of 32 sessions that hold something."""
    async with millpond.Pool(Notes, min_workers=2, max_workers=2, sleep_after=None, **settings) as pool:
        sessions = [await pool.session(f"{n}") for n in range(32)]
        for session in sessions:
            await session.call("hold", kind, size)
        end = time.perf_counter() + seconds

        async def count_on(session: Any) -> int:
            done = 0
            while time.perf_counter() < end:
                await session.call("count")
                done += 1
            return done

        return sum(await asyncio.gather(*map(count_on, sessions))) / seconds


async def reply(is_quick: bool) -> AsyncIterator[Row]:
    """Sessions whose state travels with each answer, against those whose state does not."""
    seconds, rounds = (0.5, 1) if is_quick else (2.0, 5)
    for kind, size, least in (("bytes", STATE_BYTES, 0.6), ("keys", 600, 0.0)):
        shares, rates = [], []
        for _ in range(rounds):
            none = await rate(kind, size, seconds)
            rates.append(await rate(kind, size, seconds, durability="reply"))
            shares.append(rates[-1] / none)
        what = "10 KB of bytes" if kind == "bytes" else f"a dictionary of {size} keys"
        share = median(shares)
        told = f"{share:.0%} ({median(rates):,.0f} calls/s)"
        yield (
            f'durability="reply", {what}, of the rate without',
            told,
            f"at least {least:.0%}" if least else "",
            share >= least,
        )


async def disk(is_quick: bool) -> AsyncIterator[Row]:
    """The rate and one caller's round trip where each answer waits for a commit."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"durability": "disk", "session_store": str(Path(folder) / "sessions.db")}
        told = await rate("bytes", STATE_BYTES, 0.5 if is_quick else 3.0, **settings)
        yield 'durability="disk", 10 KB of bytes, 32 sessions', f"{told:,.0f} calls/s", "", True
        async with millpond.Pool(Notes, min_workers=1, max_workers=1, name="alone", **settings) as pool:
            session = await pool.session("alone")
            seconds = [(await timed(lambda: session.call("count")))[1] for _ in range(100 if is_quick else 1_000)]
    p50, p99 = quantiles_ms(seconds)
    yield 'durability="disk", one caller, p50 / p99', f"{p50:.2f} / {p99:.2f} ms", "", True


async def kills(is_quick: bool) -> AsyncIterator[Row]:
    """Acknowledged updates that are lost."""
    number = 20 if is_quick else 200
    counted, lost, restored = await worker_kills(number, seed=4)
    told = f"{lost} of {counted:,}"
    yield f"lost updates, {number} worker kills ({restored:,} restorations told)", told, "0", not lost
    number = 3 if is_quick else 20
    counted, lost = await asyncio.to_thread(program_kills, number, 4)
    yield f'lost updates, {number} kills of the program, "disk"', f"{lost} of {counted:,}", "0", not lost


async def trace(path: Path, is_quick: bool) -> AsyncIterator[Row]:
    """The agents' sessions, two hours of them (half an hour, if quick) 200 times as fast.

    Once with a sixth of the workers that one for each session would be, and once with a pool that grows as it sees fit;
    its workers take as long to start as in real time, which is 200 times as long to the calls that wait for them.
    """
    sessions = recorded(path, 0.5 if is_quick else 2.0, seed=4)
    at_once = most_at_once(sessions)
    for name, settings in (
        ("", {"min_workers": at_once // 6, "max_workers": at_once // 6}),
        (", growing", {"min_workers": 1, "max_workers": 512}),
    ):
        got = await replay(sessions, 200.0, **settings)
        fewer, is_held = at_once / got.workers, not name
        told = f"{got.workers} ({fewer:.1f} x fewer)"
        what = f"{at_once} agent sessions at once, {got.calls:,} calls, {got.moved:,} moves; workers{name}"
        yield what, told, "6 x fewer" if is_held else "", fewer >= 6 or not is_held
        p50, p99 = quantiles_ms(got.woken)
        held = "p99 at most 5 ms" if is_held else ""
        what = f"wait of {len(got.woken):,} calls that woke a session, p50 / p99"
        yield what, f"{p50:.2f} / {p99:.2f} ms", held, p99 <= 5.0 or not is_held
        p50, p99 = quantiles_ms(got.others)
        yield f"wait of {len(got.others):,} other calls, p50 / p99", f"{p50:.2f} / {p99:.2f} ms", "", True


PARTS = {"move": moves, "wake": wakes, "asleep": asleep, "reply": reply, "disk": disk, "kills": kills}


async def measure(chosen: list[str], is_quick: bool, path: Path | None) -> int:
    """Print the figures of some parts; how many were missed."""
    parts = {name: part(is_quick) for name, part in PARTS.items() if not chosen or name in chosen}
    if path is not None and (not chosen or "trace" in chosen):
        parts["trace"] = trace(path, is_quick)
    missed = 0
    for part in parts.values():
        async for name, value, held, is_met in part:
            missed += not is_met
            print(f"{name:<78} {value:>26} {held:>22}  {'' if is_met else 'MISSED'}", flush=True)
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "trace", []], help="all by default")
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples")
    parser.add_argument("--trace", type=Path, help="recorded agent sessions (session, t_s, api_time_s), as CSV")
    options = parser.parse_args()
    sys.exit(bool(asyncio.run(measure(options.parts, options.quick, options.trace))))


if __name__ == "__main__":
    main()
