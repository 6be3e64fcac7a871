"""Whether a player notices what must never happen, and goes on after what may: against a pool that errs on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from examples.demo import story
from examples.demo.reader import Round
from examples.demo.story import Player, Question, Venue
from millpond.errors import DeadlineExceeded, SessionLost, WorkerDied

QUESTIONS = [Question(np.full(64, float(digit)), digit, digit) for digit in range(10)]
CALLS = 12  # that a performance takes

Answer = Callable[["ErringPool", Round], Round]


class ErringSession:
    """A session of the erring pool."""

    def __init__(self, pool: ErringPool, session_id: str, reopen: bool) -> None:
        self.pool, self.id, self.reopen = pool, session_id, reopen

    async def open(self) -> ErringSession:
        if self.reopen:
            self.pool.rounds = self.pool.right = 0
        return self

    def __await__(self) -> Any:
        return self.open().__await__()

    async def call(self, _operation: str, pixels: Any, truth: int) -> Round:
        return self.pool.play(pixels, truth, self.id)

    async def close(self) -> None:
        self.pool.closed += 1


class ErringPool:
    """Answers one session as the reader does, but for what `err` makes of it; ends the show after so many calls."""

    def __init__(self, err: Answer) -> None:
        self.err = err
        self.calls = self.rounds = self.right = self.closed = 0
        self.venue: Venue

    def session(self, session_id: str, *, reopen: bool = False) -> ErringSession:
        return ErringSession(self, session_id, reopen)

    def options(self, **_: Any) -> ErringPool:
        return self

    def play(self, pixels: Any, truth: int, session_id: str) -> Round:
        self.calls += 1
        self.venue.is_over = self.calls >= CALLS
        digit = int(pixels[0])
        self.rounds, self.right = self.rounds + 1, self.right + (digit == truth)
        return self.err(self, Round(digit, self.rounds, self.right, session_id, 101))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Players think for no time, and all calls are the session's."""
    monkeypatch.setattr(story, "LONGEST_THINK_S", 0.0)
    monkeypatch.setattr(story, "LOOKS", 0.0)


def perform(err: Answer) -> tuple[ErringPool, Venue]:
    """One player's show on a pool that errs so."""
    pool = ErringPool(err)
    venue = pool.venue = Venue(pool=pool, random=Random(1), questions=QUESTIONS)
    asyncio.run(Player(venue, "player-0").play())
    return pool, venue


def on_the_third(action: Callable[[ErringPool, Round], Round]) -> Answer:
    """Err once."""
    return lambda pool, said: action(pool, said) if pool.calls == 3 else said


def fail(error: Exception) -> Answer:
    """Raise it on the third call, without counting the round."""

    def raising(pool: ErringPool, said: Round) -> Round:
        pool.rounds, pool.right = pool.rounds - 1, pool.right - 1
        raise error

    return on_the_third(raising)


def test_a_pool_that_does_not_err_makes_no_mistakes():
    """All answers are counted, timed and right, and the session is closed in the end."""
    pool, venue = perform(lambda _, said: said)
    assert (venue.tally.answered, venue.tally.right, venue.tally.mistakes) == (CALLS, CALLS, 0)
    assert (len(venue.tally.latencies), pool.closed) == (CALLS, 1)


def test_an_answer_to_another_question_is_noticed():
    """The digit of another image is a wrong answer."""
    _, venue = perform(on_the_third(lambda _, said: said._replace(digit=(said.digit + 1) % 10)))
    assert (venue.tally.wrong, venue.tally.miscounted) == (1, 0)


def test_an_answer_to_another_session_is_noticed_even_if_the_digit_fits():
    """The session's name in the answer must be the player's."""
    _, venue = perform(on_the_third(lambda _, said: said._replace(session_id="player-7")))
    assert (venue.tally.wrong, venue.tally.miscounted) == (0, 1)


def test_a_round_run_twice_is_noticed():
    """The score in the worker is ahead of the player's from then on."""

    def twice(pool: ErringPool, said: Round) -> Round:
        pool.rounds, pool.right = pool.rounds + 1, pool.right + 1
        return said

    _, venue = perform(on_the_third(twice))
    assert venue.tally.miscounted == CALLS - 3


def test_a_score_that_was_set_back_in_silence_is_noticed():
    """Losing a session without saying so is a mistake too."""

    def forget(pool: ErringPool, said: Round) -> Round:
        pool.rounds = pool.right = 0
        return said

    _, venue = perform(on_the_third(forget))
    assert venue.tally.miscounted == CALLS - 3


def test_a_lost_session_is_opened_anew_and_begins_at_zero():
    """Told once, reopened once, and no mistake."""
    pool, venue = perform(fail(SessionLost()))
    assert (venue.tally.told, venue.tally.reopened, venue.tally.mistakes) == (1, 1, 0)
    assert pool.rounds == CALLS - 3


def test_a_lost_call_is_counted_and_the_player_goes_on():
    """One call, and nothing else."""
    _, venue = perform(fail(WorkerDied()))
    assert (venue.tally.lost, venue.tally.answered, venue.tally.calls) == (1, CALLS - 1, CALLS)


def test_after_an_unknown_outcome_the_next_answer_says_the_score():
    """The call may have run, so both scores are right."""

    def late(pool: ErringPool, said: Round) -> Round:
        raise DeadlineExceeded(outcome="unknown")

    _, venue = perform(on_the_third(late))
    assert (venue.tally.failures["deadline_exceeded"], venue.tally.mistakes) == (1, 0)
