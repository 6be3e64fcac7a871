"""What the pool promised to each caller, and what really became of it: broken promises raise at once.

Kept by the model beside the machine, which never sees it. Every call has a token of its own, which comes back as its
result and is added to its session's history when it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from millpond.core.records.call import Call


@dataclass
class Promise:
    """One call: how often workers looked at it, ran it, died of it or came back, and what its caller was told."""

    call: Call
    token: int
    claims: int = 0
    runs: int = 0
    deaths: int = 0
    completed: int = 0
    told: list[Any] = field(default_factory=list)


class Ledger:
    """All promises, and the history of each session: the tokens of the calls that ran, in order."""

    def __init__(self) -> None:
        self.promises: dict[int, Promise] = {}
        self.histories: dict[int, list[int]] = {}  # session number -> tokens
        self.acknowledged: dict[int, set[int]] = {}  # session number -> tokens of the calls whose answers were given
        self.untold: set[int] = set()  # numbers of sessions that were restored and have not said so

    def promise(self, call: Call) -> Promise:
        """The account of a caller's call, opened when it is first asked for."""
        return self.promises.setdefault(call.id, Promise(call, call.id))

    def claims(self, call: Call) -> None:
        """A worker looks at a call, or may have: from here on it may have run."""
        if call.continuation is None:
            self.promise(call).claims += 1

    def begins(self, call: Call, max_attempts: int) -> None:
        """A worker runs a call."""
        promise = self.promise(call)
        is_rewound = call.session is not None and call.session.number in self.untold
        assert not is_rewound, f"{call!r} runs in a session that was restored, and nobody was told"
        may_run_again = call.idempotent and call.session is None and not call.is_stream
        assert promise.runs == 0 or may_run_again, f"{call!r} runs a second time"
        assert promise.deaths < 2, f"{call!r} killed two workers and is given to a third"
        promise.runs += 1
        assert promise.runs <= max_attempts, f"{call!r} runs {promise.runs} times"
        assert "not_started" not in [getattr(e, "outcome", None) for e in promise.told], f"{call!r} runs after all"

    def sits_down(self, call: Call, state: list[int]) -> None:
        """A call of a session finds the session's state, and adds to it."""
        assert call.session is not None
        history = self.histories.setdefault(call.session.number, [])
        assert state == history, f"{call!r} finds {state}, its session's history is {history}"
        if call.continuation is None:
            assert all(token < call.id for token in history), f"{call!r} comes after a later one"
            history.append(call.id)
            state.append(call.id)

    def completes(self, call: Call) -> None:
        """A worker came back from a call."""
        if call.continuation is None:
            self.promise(call).completed += 1

    def leaves_no_trace(self, call: Call) -> None:
        """The session was not opened, or the call only looked: it left nothing in it."""
        if call.continuation is None:
            assert call.session is not None
            self.histories[call.session.number].remove(call.id)

    def died_of(self, call: Call) -> None:
        """A worker died while it ran the call, and not because the pool killed it."""
        if call.continuation is None:
            self.promise(call).deaths += 1

    def tells(self, call: Call, value: Any) -> None:
        """The caller is told how the call ended: once, its own answer, and nothing but the truth."""
        promise = self.promise(call)
        promise.told.append(value)
        assert len(promise.told) == 1, f"{call!r} ended twice"
        outcome = getattr(value, "outcome", "completed")
        if getattr(value, "code", "") == "session_restored":
            self.tells_of_restoration(call)
        if getattr(value, "code", "") == "internal_error":
            self._tells_of_failed_order(call, promise, outcome)
        elif call.ending in ("ok", "failed"):
            token = value if call.ending == "ok" else getattr(value, "args", (None,))[0]
            is_own = token == promise.token or "Interrupted by itself" in str(token)
            if getattr(value, "code", "") == "store_failed":
                assert promise.completed == (outcome == "completed"), f"{call!r} is told {outcome}"
                return
            assert is_own, f"{call!r} was given the answer of {token}"
            assert promise.completed, f"{call!r} was answered and never ran"
            if call.session is not None and call.id in self.histories.get(call.session.number, ()):
                self.acknowledged.setdefault(call.session.number, set()).add(call.id)
        elif outcome == "not_started":
            assert not promise.runs, f"{call!r} ran and is told that it did not start"
        elif outcome == "unknown":
            assert promise.claims, f"no worker looked at {call!r}, and its outcome is said to be unknown"

    def _tells_of_failed_order(self, call: Call, promise: Promise, outcome: str) -> None:
        assert call.ending == "failed"
        assert outcome != "not_started" or not promise.runs, f"{call!r} ran and is told that it did not start"
        assert outcome != "unknown" or promise.claims, f"no worker looked at {call!r}, and its outcome is unknown"
        assert outcome != "completed" or promise.completed, f"{call!r} did not come back and is told so"

    def tells_of_restoration(self, call: Call) -> None:
        """The caller of a session learns that it was restored: once, and only if it was."""
        assert call.session is not None
        assert call.session.number in self.untold, f"{call!r} is told of a restoration that did not happen"
        self.untold.discard(call.session.number)

    def restores(self, number: int, state: list[int], is_told: bool) -> None:
        """A session's worker died and it goes on from `state`: nothing that was acknowledged is missing."""
        history = self.histories.get(number, [])
        assert state == history[: len(state)], f"session {number} is restored to {state}, its history is {history}"
        missing = self.acknowledged.get(number, set()) - set(state)
        assert not missing, f"session {number} is restored to {state} and lost {missing}, which were acknowledged"
        self.histories[number] = list(state)
        if is_told:
            self.untold.add(number)
