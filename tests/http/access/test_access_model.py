"""Tokens and logins as they come and go, restarts and moved clocks in between: who is let in is what a table says."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from millpond.http.access.caller import ROLES, Caller
from millpond.http.access.cookies import COOKIE_S
from millpond.http.access.state_folder import CODE_S
from tests.http.access.asked import Asked, request


@dataclass
class Issued:
    """A token: its text, who it is, and until when it holds."""

    token: str
    caller: Caller
    expires: float
    is_revoked: bool = False


@dataclass
class LoggedIn:
    """A browser."""

    cookie: str
    issued: Issued
    until: float
    is_out: bool = False


class Lifetimes(RuleBasedStateMachine):
    """One state folder, one server at a time."""

    tokens = Bundle("tokens")
    codes = Bundle("codes")
    logins = Bundle("logins")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.asked = Asked(Path(self.folder.name) / "state")
        self.issued: list[Issued] = []
        self.browsers: list[LoggedIn] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def now(self) -> float:
        return self.asked.clocks.wall

    def holds(self, issued: Issued) -> bool:
        return not issued.is_revoked and self.now < issued.expires

    @rule(target=tokens, role=st.sampled_from(ROLES), seconds=st.sampled_from([None, 30.0, 3600.0, 86400.0]))
    def issue(self, role: Any, seconds: float | None) -> Issued:
        until = float("inf") if seconds is None else self.now + seconds
        made, token = self.asked.access.state.issue(role, None, None if seconds is None else until, self.now)
        self.issued.append(Issued(token, Caller(made.id, role, "token", made.id, expires=until), until))
        return self.issued[-1]

    @rule(issued=tokens)
    def revoke(self, issued: Issued) -> None:
        self.asked.access.state.revoke(issued.caller.token_id)
        issued.is_revoked = True
        self.asked.clocks.advance(0.5)

    @rule(target=codes, issued=tokens)
    def print_link(self, issued: Issued) -> tuple[str, Issued, float]:
        return self.asked.access.state.new_code(issued.caller.token_id, self.now), issued, self.now + CODE_S

    @rule(target=logins, printed=consumes(codes))
    def log_in(self, printed: tuple[str, Issued, float]) -> LoggedIn | None:
        code, issued, until = printed
        token = self.asked.access.take_code(code)
        assert (token is not None) == (self.now < until and self.holds(issued))
        assert self.asked.access.take_code(code) is None
        if token is None:
            return None
        value, seconds = self.asked.access.cookies.new("millpond_8000", token, self.now)
        assert 0 <= seconds <= COOKIE_S
        self.browsers.append(LoggedIn(f"millpond_8000={value}", issued, int(min(self.now + COOKIE_S, issued.expires))))
        return self.browsers[-1]

    @rule(login=logins)
    def log_out(self, login: LoggedIn | None) -> None:
        caller = self.let_in(login) if login is not None else 401
        if login is not None and isinstance(caller, Caller):
            self.asked.access.log_out(caller)
            login.is_out = True

    @rule(seconds=st.sampled_from([0.5, 31.0, 601.0, 3601.0, 43200.0]))
    def wait(self, seconds: float) -> None:
        self.asked.clocks.advance(seconds)

    @rule()
    def restart(self) -> None:
        clocks = self.asked.clocks
        self.asked = Asked(self.asked.folder)
        self.asked.clocks.advance(clocks.wall - self.now)

    def let_in(self, login: LoggedIn) -> Caller | int:
        return self.asked.outcome(request("/x", "GET", cookie=login.cookie))

    @invariant()
    def tokens_are_let_in_while_they_hold(self) -> None:
        for issued in getattr(self, "issued", []):
            self.asked.clocks.monotonic += 0.1
            said = self.asked.bearer(issued.token, client=None)
            assert said == (issued.caller if self.holds(issued) else said)
            assert isinstance(said, Caller) or said in (401, 429)
            assert isinstance(said, Caller) == self.holds(issued)

    @invariant()
    def browsers_are_let_in_while_their_logins_and_tokens_hold(self) -> None:
        for login in getattr(self, "browsers", []):
            said = self.let_in(login)
            is_in = self.holds(login.issued) and not login.is_out and self.now < login.until
            assert isinstance(said, Caller) == is_in
            if isinstance(said, Caller):
                assert (said.owner, said.role) == (login.issued.caller.owner, login.issued.caller.role)
                assert self.asked.access.holds(said)


TestLifetimes = Lifetimes.TestCase
TestLifetimes.settings = settings(max_examples=60, stateful_step_count=25)
