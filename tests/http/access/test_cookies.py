"""The cookie of a browser that logged in: what it is bound to, and that nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.http.access.caller import Caller
from millpond.http.access.cookies import COOKIE_S, Cookies, cookie_name, set_cookie
from tests.http.access.asked import NOON, Asked, request


def who(asked: Asked, cookie: str, **more: object) -> Caller | int:
    """Whom a cookie lets in."""
    return asked.outcome(request("/x", "GET", cookie=cookie, **more))


def test_the_header_keeps_the_cookie_from_scripts_and_other_sites():
    """Under TLS also from plain connections, and from whoever else has a name under the same domain."""
    assert set_cookie(cookie_name(8000, "http"), "v", 60) == (
        "millpond_8000=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"
    )
    assert set_cookie(cookie_name(8443, "https"), "v", 60) == (
        "__Host-millpond_8443=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
    )


def test_it_survives_a_restart_and_ends_after_twelve_hours(asked):
    """The key is in the state folder."""
    cookie = asked.cookie()
    again = Asked(asked.folder)
    assert isinstance(who(again, cookie), Caller)
    again.clocks.advance(COOKIE_S - 1)
    assert isinstance(who(again, cookie), Caller)
    again.clocks.advance(1)
    assert who(again, cookie) == 401


def test_it_is_for_one_port_and_one_scheme(asked):
    """Browsers send the cookies of a host to all its ports, where another server may know the same key."""
    cookie = asked.cookie(port=8001)
    assert who(asked, cookie) == 401
    assert who(asked, cookie.replace("8001", "8000", 1)) == 401
    assert isinstance(who(asked, cookie, port=8001, host="127.0.0.1:8001"), Caller)
    plain, secure = asked.cookie(), asked.cookie(scheme="https")
    assert who(asked, secure) == who(asked, plain, scheme="https") == 401
    assert who(asked, "__Host-" + plain, scheme="https") == 401
    assert who(asked, secure.removeprefix("__Host-")) == 401
    assert isinstance(who(asked, secure, scheme="https"), Caller)
    assert isinstance(who(asked, asked.cookie(port=None), port=None), Caller)


def test_no_part_of_it_can_be_changed(asked):
    """Not the token, the time, the login or the signature; other spellings of the same are none."""
    token_id, _ = asked.issue("view")
    name, _, value = asked.cookie(token_id).partition("=")
    assert isinstance(who(asked, f"{name}={value}"), Caller)
    _, login, expires, mac = value.split(".")
    forged = [
        f"local.{login}.{expires}.{mac}",
        f"{token_id}.{login}.{int(expires) + 1}.{mac}",
        f"{token_id}.{login}.0{expires}.{mac}",
        f"{token_id}.{'0' * 32}.{expires}.{mac}",
        f"{token_id}.{login.upper()}.{expires}.{mac}",
        f"{token_id}.{login}.{expires}.{mac[:-1]}",
        f"{token_id}.{login}.{expires}.{'A' * 43}",
        f"{token_id}.{login}.{expires}.",
        f"{token_id}.{login}.{expires}.{mac}.{mac}",
        f'"{value}"',
        value + "é",
        "." * 3,
        "",
    ]
    assert [who(asked, f"{name}={one}") for one in forged] == [401] * len(forged)


def test_another_key_or_another_token_under_the_name_makes_it_worthless(asked):
    """Whoever removes the key file ends all logins."""
    cookie = asked.cookie()
    (asked.folder / "cookie-key").unlink()
    assert who(Asked(asked.folder), cookie) == 401


def test_it_holds_no_longer_than_its_token(asked):
    """Neither for the browser nor here."""
    token_id, _ = asked.issue("call", seconds=100.0)
    name = cookie_name(8000, "http")
    asked.access.tokens.look(asked.clocks.monotonic)
    _, seconds = asked.access.cookies.new(name, asked.access.tokens.by_id[token_id], asked.clocks.wall)
    assert seconds == 99


def test_one_that_was_made_by_a_clock_ahead_is_none(asked):
    """Otherwise a clock that was wrong for a moment makes logins for years."""
    asked.clocks.wall += 365 * 86400
    cookie = asked.cookie()
    asked.clocks.wall = NOON
    assert who(asked, cookie) == 401


def test_ours_is_found_among_others_and_behind_worthless_ones(asked):
    """Another program on the same host may have set cookies of any name, this one's too."""
    cookie = asked.cookie()
    for header in (
        f"a=b; {cookie}",
        f"{cookie};a=b",
        f"millpond_8000=junk; {cookie}",
        f"millpond_800={'x' * 50}; xmillpond_8000=1; {cookie}",
        f";;; =; a; {cookie}; ",
    ):
        assert isinstance(who(asked, header), Caller), header
    in_parts = request("/x", "GET", ("cookie", "a=b"), ("cookie", cookie))
    assert isinstance(asked.outcome(in_parts), Caller)
    assert who(asked, "; ".join(["millpond_8000=x"] * 4000 + [cookie])) == 401  # no more than a few are tried
    assert who(asked, cookie.replace("millpond", "Millpond")) == 401


def test_a_login_that_was_ended_stays_so_for_every_server(asked):
    """A copy of the cookie is worth nothing afterwards; other logins of the same token hold."""
    cookie, other = asked.cookie(), asked.cookie()
    caller = who(asked, cookie)
    assert isinstance(caller, Caller)
    assert asked.access.holds(caller)
    asked.access.log_out(caller)
    assert who(asked, cookie) == who(Asked(asked.folder), cookie) == 401
    assert not asked.access.holds(caller)
    assert isinstance(who(asked, other), Caller)
    asked.clocks.advance(1.0)
    assert who(asked, cookie) == 401


def test_a_link_leads_to_the_login_page_with_the_code_in_the_fragment(asked):
    """Which no browser sends; the code is for one token, once."""
    token_id, _ = asked.issue("view")
    base, _, code = asked.access.login_url("http://127.0.0.1:8000/", token_id).partition("#")
    assert base == "http://127.0.0.1:8000/login"
    assert len(code) == 22
    token = asked.access.take_code(code)
    assert token is not None
    assert token.caller.token_id == token_id
    assert asked.access.take_code(code) is None


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_code_is_worth_nothing_once_its_token_has_ended(how, asked):
    """Also if nobody asked in between."""
    token_id, _ = asked.issue("view", seconds=60.0)
    code = asked.access.state.new_code(token_id, asked.clocks.wall)
    if how == "revoked":
        asked.access.state.revoke(token_id)
    else:
        asked.clocks.advance(60.0)
    assert asked.access.take_code(code) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(header):
    """A cookie is accepted or not."""
    assert Cookies(b"k" * 32).caller("millpond_1", header, _Nothing(), NOON) is None  # type: ignore[arg-type]
    assert Cookies(b"k" * 32).caller("millpond_1", b"millpond_1=" + header, _Nothing(), NOON) is None  # type: ignore[arg-type]


class _Nothing:
    by_id: dict[str, object] = {}
    logouts: dict[str, float] = {}
