"""Whether a player notices what must never happen, and goes on after what may: against a pool that errs on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from millpond.cli.demo.answer_key import AnswerKey
from millpond.cli.demo.players import Player, Venue, look
from millpond.cli.demo.reader import Round
from millpond.errors import DeadlineExceeded, Overloaded, SessionLost, WorkerDied

KEY = AnswerKey([[digit] * 64 for digit in range(10)], list(range(10)), list(range(10)), sheet_images=3, sheet_s=0.01)
CALLS = 12  # of a performance

Answer = Callable[["ErringPool", Round], Round]


class ErringSession:
    """A session of the erring pool."""

    def __init__(self, pool: ErringPool, session_id: str, reopen: bool) -> None:
        self.pool, self.id, self.reopen = pool, session_id, reopen

    async def open(self) -> ErringSession:
        self.pool.opened.append(self.reopen)
        if self.reopen:
            self.pool.sheets = self.pool.right = 0
        return self

    def __await__(self) -> Any:
        return self.open().__await__()

    def options(self, **_: Any) -> ErringSession:
        return self

    async def call(self, _operation: str, images: Any, truths: list[int]) -> Round:
        return self.pool.play(images, truths, self.id)


class ErringPool:
    """Answers one session as the reader does, but for what `err` makes of it."""

    def __init__(self, err: Answer) -> None:
        self.err = err
        self.calls = self.sheets = self.right = 0
        self.opened: list[bool] = []

    def session(self, session_id: str, *, reopen: bool = False) -> ErringSession:
        return ErringSession(self, session_id, reopen)

    def play(self, images: Any, truths: list[int], session_id: str) -> Round:
        self.calls += 1
        digits = [image[0] for image in images]
        self.sheets, self.right = self.sheets + 1, self.right + sum(map(int.__eq__, digits, truths))
        said = Round(digits=digits, sheets=self.sheets, right=self.right, session_id=session_id)
        return self.err(self, said)


def perform(err: Answer) -> tuple[ErringPool, Venue]:
    """One player's calls to a pool that errs so."""
    pool = ErringPool(err)
    venue = Venue(pool=pool, random=Random(1), key=KEY)  # type: ignore[arg-type]
    player = Player(venue, "player-0")

    async def play() -> None:
        for _ in range(CALLS):
            await player.play()

    asyncio.run(play())
    return pool, venue


def on_the_third(action: Answer) -> Answer:
    """Err once."""
    return lambda pool, said: action(pool, said) if pool.calls == 3 else said


def fail(error: Exception, *, has_run: bool = False) -> Answer:
    """Raise it on the third call, whose sheet counts in the session if it `has_run`."""

    def raising(pool: ErringPool, said: Round) -> Round:
        if not has_run:
            pool.sheets, pool.right = pool.sheets - 1, pool.right - 3
        raise error

    return on_the_third(raising)


def test_a_pool_that_does_not_err_makes_no_mistakes():
    """All answers are counted, timed and right, and the session is opened once."""
    pool, venue = perform(lambda _, said: said)
    assert (venue.tally.asked, venue.tally.answered, venue.tally.mistakes) == (CALLS, CALLS, 0)
    assert (len(venue.tally.latencies), pool.opened) == (CALLS, [False])


def test_an_answer_to_another_question_is_noticed():
    """The digits of another sheet are a wrong answer."""
    _, venue = perform(on_the_third(lambda _, said: {**said, "digits": [*said["digits"][:-1], 11]}))
    assert (venue.tally.wrong, venue.tally.miscounted) == (1, 0)


def test_an_answer_to_another_session_is_noticed_even_if_the_digits_fit():
    """The session's name in the answer must be the player's."""
    _, venue = perform(on_the_third(lambda _, said: {**said, "session_id": "player-7"}))
    assert (venue.tally.wrong, venue.tally.miscounted) == (0, 1)


def test_a_sheet_read_twice_is_noticed():
    """The score in the worker is ahead of what the player's can be."""

    def twice(pool: ErringPool, said: Round) -> Round:
        pool.sheets, pool.right = pool.sheets + 1, pool.right + 3
        return said

    _, venue = perform(on_the_third(twice))
    assert venue.tally.miscounted == 1


def test_a_score_that_was_set_back_in_silence_is_noticed():
    """Losing a session without saying so is a mistake too."""

    def forget(pool: ErringPool, said: Round) -> Round:
        pool.sheets = pool.right = 0
        return said

    _, venue = perform(on_the_third(forget))
    assert venue.tally.miscounted == 1


def test_a_lost_session_is_opened_anew_and_begins_at_zero():
    """Told once, reopened once, and no mistake."""
    pool, venue = perform(fail(SessionLost()))
    assert (venue.tally.told, venue.tally.reopened, venue.tally.mistakes) == (1, 1, 0)
    assert (pool.opened, pool.sheets) == ([False, True], CALLS - 3)


def test_a_lost_call_is_counted_and_the_player_goes_on():
    """One call, and nothing else."""
    _, venue = perform(fail(WorkerDied()))
    assert (venue.tally.died, venue.tally.answered, venue.tally.asked) == (1, CALLS - 1, CALLS)
    assert venue.tally.mistakes == 0


def test_a_call_that_may_have_run_makes_two_scores_right():
    """With its sheet and without it."""
    for has_run in (False, True):
        _, venue = perform(fail(DeadlineExceeded(outcome="unknown"), has_run=has_run))
        assert (venue.tally.expired, venue.tally.mistakes) == (1, 0)


def test_a_call_that_was_refused_and_counts_all_the_same_is_noticed():
    """What is said not to have been started must not have changed the score."""
    _, venue = perform(fail(Overloaded(), has_run=True))
    assert (venue.tally.refused, venue.tally.miscounted) == (1, 1)


def test_a_look_is_checked_too():
    """A call without a session has an answer of its own, and failures are counted by their code."""

    class Looked:
        answers = iter([lambda images: [image[0] for image in images], lambda _: [], Overloaded(), WorkerDied()])

        def options(self, **_: Any) -> Looked:
            return self

        async def call(self, _operation: str, images: Any) -> Any:
            answer = next(self.answers)
            if isinstance(answer, Exception):
                raise answer
            return answer(images)

    venue = Venue(pool=Looked(), random=Random(1), key=KEY)  # type: ignore[arg-type]
    for _ in range(4):
        asyncio.run(look(venue))
    tally = venue.tally
    assert (tally.asked, tally.answered, tally.wrong, tally.refused, tally.died) == (4, 2, 1, 1, 1)
