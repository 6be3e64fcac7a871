"""A few hundred players with think times, each with a session whose score lives in a worker.

A player keeps its own score and holds every answer against the key; what it saw goes into the tally. When its session
is lost it is told so, opens it anew, and begins at zero.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from millpond.cli.demo.gallery import Gallery
from millpond.cli.demo.key import AnswerKey, Question
from millpond.cli.demo.reader import Round
from millpond.cli.demo.roster import Roster
from millpond.cli.demo.tally import Tally
from millpond.errors import PoolError, SessionLost, WorkerDied
from millpond.pool import Pool

THINK_S = 0.3  # mean think time
LONGEST_THINK_S = 1.0  # so that everybody has gone home a second after the end
LOOKS = 0.2  # share of calls that belong to no session


@dataclass(slots=True, kw_only=True)
class Venue:
    """What all players share."""

    pool: Pool
    random: Random
    clock: Callable[[], float]
    key: AnswerKey = field(default_factory=lambda: AnswerKey(()))
    tally: Tally = field(default_factory=Tally)
    roster: Roster = field(default_factory=Roster)
    gallery: Gallery = field(default_factory=Gallery)
    is_over: bool = False


class Player:
    """One session's owner."""

    def __init__(self, venue: Venue, session_id: str) -> None:
        self._venue = venue
        self._session = venue.pool.session(session_id)
        self._looks = venue.pool.options(idempotent=True)
        self._id = session_id
        self._rounds = 0
        self._right = 0
        self._is_unsure = False  # a call ended `unknown`: the next answer says whether it counted

    async def play(self) -> None:
        """Think and ask, until the venue closes; then end the session."""
        try:
            await self._session.open()
            await self._think()
            while not self._venue.is_over:
                await self._ask()
                await self._think()
            await self._session.close()
        except PoolError as error:
            self._venue.tally.failures[error.code] += 1

    async def _think(self) -> None:
        await asyncio.sleep(min(self._venue.random.expovariate(1 / THINK_S), LONGEST_THINK_S))

    async def _ask(self) -> None:
        """One call, however it ends."""
        venue = self._venue
        question = venue.key.draw(venue.random)
        try:
            await (self._look(question) if venue.random.random() < LOOKS else self._round(question))
        except WorkerDied:
            venue.tally.lost += 1
        except SessionLost:
            venue.tally.told += 1
            await self._begin_again()
        except PoolError as error:
            venue.tally.failures[error.code] += 1
            self._is_unsure = error.outcome != "not_started"

    async def _look(self, question: Question) -> None:
        """A call without a session, and safe to repeat: a death costs it nothing."""
        began = self._venue.clock()
        digit = await self._looks.call("read", question.pixels)
        self._check(question, digit, began)

    async def _round(self, question: Question) -> None:
        """A call that changes the session's score."""
        began = self._venue.clock()
        said: Round = await self._session.call("play", question.pixels, question.truth)
        self._check(question, said.digit, began)
        self._check_score(question, said)
        self._venue.roster.played(self._id, said.pid)

    def _check_score(self, question: Question, said: Round) -> None:
        if self._is_unsure:
            self._rounds, self._right, self._is_unsure = said.rounds, said.right, False
            return
        self._rounds += 1
        self._right += question.expected == question.truth
        mine = (self._rounds, self._right, self._id)
        self._venue.tally.miscounted += (said.rounds, said.right, said.session_id) != mine

    def _check(self, question: Question, digit: int, began: float) -> None:
        ended = self._venue.clock()
        self._venue.tally.answer(digit, question.expected, question.truth)
        self._venue.tally.timed(ended, ended - began)
        self._venue.gallery.hang(question.pixels, digit)

    async def _begin_again(self) -> None:
        self._session = await self._venue.pool.session(self._id, reopen=True)
        self._rounds = self._right = 0
        self._is_unsure = False
        self._venue.tally.reopened += 1


async def serve(venue: Venue, sessions: int) -> None:
    """Let so many players play until `venue.is_over`."""
    async with asyncio.TaskGroup() as group:
        for number in range(sessions):
            group.create_task(Player(venue, f"player-{number}").play())
