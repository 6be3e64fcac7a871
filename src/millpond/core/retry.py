"""Whether a call whose worker died is given to another, and after which pause.

Only calls that did not start, or that the caller declared idempotent, all within the one deadline. Pure: the random
number is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.core.call import Call

POISON = 2  # workers a call may kill
JITTER = 0.25  # the pause is up to this share longer or shorter
DOUBLINGS = 60  # beyond, it would be no number any more; the longest pause was reached long before
LONGEST_PAUSE = 5.0  # seconds


def backoff(first: float, attempt: int, chance: float, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to pause before the attempt after `attempt` (from 1): doubling, with jitter, `longest` at most.

    `chance` is in [0, 1).
    """
    pause = min(first * 2.0 ** min(attempt - 1, DOUBLINGS), longest)
    shortest, most = pause * (1 - JITTER), min(pause * (1 + JITTER), longest)
    return shortest + (most - shortest) * chance


def may_retry(call: Call, max_attempts: int, at: float) -> bool:
    """Whether a call that had started may be tried once more at the time `at`.

    Session calls are never retried elsewhere, nor streams, whose items may have been seen.
    """
    return (
        call.idempotent
        and call.session is None
        and not call.is_stream
        and call.attempts < max_attempts
        and at < call.deadline
    )
