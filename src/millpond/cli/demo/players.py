"""Who asks: the owner of a session, who knows what its score must be, and anybody, who has none.

Each makes one call when it is told to, checks the answer, and counts how it ended.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from millpond import Pool, PoolError, SessionLost, WorkerDied
from millpond.cli.demo.answer_key import AnswerKey, Sheet
from millpond.cli.demo.reader import Round
from millpond.cli.demo.tally import Tally

if TYPE_CHECKING:
    from millpond.handles import SessionHandle

DEADLINE_S = 2.0  # of each call; there is no second try

Score = tuple[int, int]  # sheets, and digits that were right
NEW: Score = (0, 0)


@dataclass(slots=True, kw_only=True)
class Venue:
    """What all who ask one pool share."""

    pool: Pool
    random: Random
    key: AnswerKey
    tally: Tally = field(default_factory=Tally)


async def look(venue: Venue) -> None:
    """A call without a session, and safe to repeat: a death costs it nothing."""
    sheet, began = venue.key.sheet(venue.random), time.perf_counter()
    venue.tally.asked += 1
    try:
        digits = await venue.pool.options(deadline=DEADLINE_S, idempotent=True).call("read", sheet.images)
    except WorkerDied:  # where the deadline left no time for another worker
        venue.tally.died += 1
    except PoolError as error:
        venue.tally.failures[error.code] += 1
    else:
        _count(venue.tally, sheet, digits, began)


class Player:
    """A session's owner: keeps its score, and opens the session anew, from zero, when told that it is lost."""

    def __init__(self, venue: Venue, session_id: str) -> None:
        self._venue, self._id = venue, session_id
        self._session: SessionHandle | None = None
        self._is_lost = False
        self._scores = {NEW}  # what the worker's may be: several after calls that may have run
        self.is_playing = False

    async def play(self) -> None:
        """One call that changes the session's score."""
        self.is_playing = True
        sheet, tally = self._venue.key.sheet(self._venue.random), self._venue.tally
        tally.asked += 1
        try:
            await self._ask(sheet)
        except WorkerDied:
            tally.died += 1
            self._may_have_run(sheet)
        except SessionLost:
            tally.told += 1
            self._session, self._is_lost = None, True
            with suppress(PoolError):  # then its next call opens it
                await self._opened()
        except PoolError as error:
            tally.failures[error.code] += 1
            if error.outcome != "not_started":
                self._may_have_run(sheet)
        finally:
            self.is_playing = False

    async def _ask(self, sheet: Sheet) -> None:
        venue = self._venue
        session = self._session or await self._opened()
        began = time.perf_counter()
        said: Round = await session.options(deadline=DEADLINE_S).call("play", sheet.images, sheet.truths)
        _count(venue.tally, sheet, said["digits"], began)
        score, possible = (said["sheets"], said["right"]), {_after(sheet, before) for before in self._scores}
        venue.tally.miscounted += score not in possible or said["session_id"] != self._id
        self._scores = {score}

    async def _opened(self) -> SessionHandle:
        """The session, new or anew: its score begins at zero."""
        self._session = session = await self._venue.pool.session(self._id, reopen=self._is_lost)
        self._venue.tally.reopened += self._is_lost
        self._is_lost, self._scores = False, {NEW}
        return session

    def _may_have_run(self, sheet: Sheet) -> None:
        self._scores |= {_after(sheet, before) for before in self._scores}


def _after(sheet: Sheet, score: Score) -> Score:
    """A score when the sheet has been read."""
    return score[0] + 1, score[1] + sum(map(int.__eq__, sheet.expected, sheet.truths))


def _count(tally: Tally, sheet: Sheet, digits: list[int], began: float) -> None:
    ended = time.perf_counter()
    tally.answer(sheet, digits, ended, ended - began)
