"""Who a request comes from and what that one may do: what `Access.check` finds, and every route goes by."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

# "none" is the role of a request without a token on a path that is open to all; it allows nothing else.
Role = Literal["none", "call", "view", "admin"]

ROLES: tuple[Role, ...] = ("call", "view", "admin")  # those that tokens have
ANYONE: frozenset[Role] = frozenset({"none", *ROLES})  # for the routes of open paths
MAY_CALL: frozenset[Role] = frozenset({"call", "admin"})
MAY_VIEW: frozenset[Role] = frozenset({"view", "admin"})
MAY_ADMINISTER: frozenset[Role] = frozenset({"admin"})
LOGGED_IN: frozenset[Role] = frozenset(ROLES)  # openapi, docs


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller.

    `owner` is whose sessions and idempotency keys are used ("" for the program's own, which have no name before their
    ids); `by` is how it was found. The rest is for `Access.holds`, by which a long answer finds whether it may go on:
    the token's public name, the name of a browser's login, and when (Unix seconds) either ends by itself.
    """

    owner: str
    role: Role
    by: Literal["token", "cookie", "program", "nobody"]
    token_id: str = ""
    login: str = ""
    expires: float = inf


NOBODY = Caller("", "none", "nobody")
PROGRAM = Caller("", "admin", "program")
