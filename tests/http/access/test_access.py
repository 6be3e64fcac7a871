"""Who is let in: by token or cookie, under which Host, from which Origin; everybody else gets the same answer."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.http.access.access import Access, Wall, access_of
from millpond.http.access.attempts import LIMIT
from millpond.http.access.caller import NOBODY, PROGRAM, ROLES, Caller
from millpond.http.access.gate import LocalAccess, route_path
from millpond.http.problems import Problem
from millpond.token_file import StateError
from tests.http.access.asked import NOON, Asked, request

WRONG = "mp_" + "x" * 43
EVIL = "http://evil.example"
OWN = "http://127.0.0.1:8000"
PAGE = {"origin": OWN, "content_type": "application/json"}


def problem_of(asked: Asked, scope: dict[str, Any]) -> Problem:
    """The refusal of a request."""
    with pytest.raises(Problem) as refused:
        asked.access.check(scope)
    return refused.value


def test_the_servers_own_token_is_an_administrators(asked):
    """Its sessions belong to the owner `local`."""
    assert asked.bearer(asked.token) == Caller("local", "admin", "token", "local")


def test_an_issued_token_has_its_role_and_owner(asked):
    """The owner is the token's id where none was named."""
    for role in ROLES:
        token_id, token = asked.issue(role)
        assert asked.bearer(token) == Caller(token_id, role, "token", token_id)
    token_id, token = asked.issue("view", "ann")
    assert asked.bearer(token) == Caller("ann", "view", "token", token_id)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
def test_the_scheme_is_read_in_any_case_and_with_more_spaces(form, asked):
    """As RFC 9110 has it."""
    assert isinstance(asked.outcome(request(authorization=form.format(asked.token))), Caller)


@pytest.mark.parametrize(
    "form",
    [
        *(
            "",
            "{}",
            "Bearer",
            "Bearer ",
            "Bearer{}",
            "Basic {}",
            "Token {}",
            "Bearer\t{}",
            " Bearer {}",
            "Bearer {0} {0}",
        ),
        *("Bearer {0},{0}", "Bearer {0}, Bearer {0}", "Bearer x{}", "Bearer {}x", 'Bearer "{}"', "Bearer token={}"),
        *("Bearer {}\0", "Bearer\xa0{}", "Bearer " + "é" * 46, "Bearer " + "x" * 60_000, "Digest Bearer {}"),
    ],
)
def test_every_other_authorization_is_the_same_401(form, asked):
    """Status, code, text and headers are those of a request without any."""
    none = problem_of(asked, request())
    refused = problem_of(asked, request(authorization=form.format(asked.token)))
    assert vars(refused) == vars(none)
    assert (none.status, none.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert asked.token not in str(vars(refused))


@pytest.mark.parametrize(
    "path", ["/metrics", "/nowhere", "/v1/pools/p/admin/drain", "/docs", "/openapi.json", "/logout", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])
def test_without_a_token_every_path_is_401(path, method, asked):
    """Those there are not, too; but `GET /`, where a page says how to log in."""
    expected: Any = NOBODY if (path, method) == ("", "GET") else 401
    assert asked.outcome(request(path, method)) == expected


def test_a_token_in_the_query_or_another_header_is_none(asked):
    """It would stand in logs."""
    scope = request("/metrics", "GET", x_token=asked.token, proxy_authorization=f"Bearer {asked.token}")
    scope["query_string"] = f"token={asked.token}&access_token={asked.token}".encode()
    assert asked.outcome(scope) == 401


def test_open_paths_need_no_token(asked):
    """The two about health no Host of ours either; paths that only look like them are not open."""
    for path in ("/healthz", "/readyz"):
        assert asked.outcome(request(path, "GET", host="evil.example")) == NOBODY
        assert asked.outcome(request(path, "GET", host=None)) == NOBODY
    for path in ("/login", "/assets/login.js"):
        assert asked.outcome(request(path, "GET")) == NOBODY
        assert asked.outcome(request(path, "GET", host="evil.example")) == 421
    for path in ("/healthz/", "/healthz/x", "/Healthz", "//healthz", "/login/", "/loginx", "/assets", "/x/healthz"):
        assert asked.outcome(request(path, "GET")) == 401


def test_a_foreign_host_is_refused_before_the_token_is_looked_at(asked):
    """A page whose name was pointed at this machine finds nothing out, not even whether a token is right."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", None):
        assert asked.bearer(asked.token, host=host) == asked.bearer(WRONG, host=host) == 421
    twice = request("/metrics", "GET", ("host", "127.0.0.1:8000"), authorization=f"Bearer {asked.token}")
    assert asked.outcome(twice) == 421


def test_a_page_elsewhere_cannot_use_a_token(asked):
    """An Origin that is sent with one must be the server's."""
    assert asked.bearer(asked.token, origin=EVIL) == 403
    assert asked.bearer(asked.token, origin="null") == 403
    assert asked.bearer(asked.token, origin="") == 403
    assert isinstance(asked.bearer(asked.token, origin="http://localhost:8000"), Caller)
    twice = request("/x", "GET", ("origin", OWN), authorization=f"Bearer {asked.token}", origin=OWN)
    assert asked.outcome(twice) == 403


def test_a_cookie_reads_without_more_and_changes_from_the_page_only(asked):
    """Every method but GET and HEAD needs the page's own Origin, and JSON."""
    cookie = asked.cookie()
    for method in ("GET", "HEAD"):
        caller = asked.outcome(request("/metrics", method, cookie=cookie))
        assert isinstance(caller, Caller)
        assert (caller.owner, caller.role, caller.by, caller.token_id) == ("local", "admin", "cookie", "local")
        assert isinstance(asked.outcome(request("/metrics", method, cookie=cookie, origin=OWN)), Caller)
        for origin in (EVIL, "null", ""):
            assert asked.outcome(request("/metrics", method, cookie=cookie, origin=origin)) == 403
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", ""):
        assert isinstance(asked.outcome(request("/x", method, cookie=cookie, **PAGE)), Caller)
        for origin in (EVIL, "null", "", "http://localhost:8000", "http://127.0.0.1:9999", "https://evil.example"):
            assert asked.outcome(request("/x", method, cookie=cookie, **PAGE | {"origin": origin})) == 403
        assert asked.outcome(request("/x", method, cookie=cookie, content_type="application/json")) == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"):
            assert asked.outcome(request("/x", method, cookie=cookie, **PAGE | {"content_type": kind})) == 415
        assert asked.outcome(request("/x", method, cookie=cookie, origin=OWN)) == 415
    charset = PAGE | {"content_type": "Application/JSON; charset=utf-8"}
    assert isinstance(asked.outcome(request(cookie=cookie, **charset)), Caller)


def test_a_websocket_by_cookie_needs_the_pages_origin(asked):
    """Browsers send cookies with one from any page."""
    scope = request("/v1/pools/p/events", cookie=asked.cookie(), origin=EVIL) | {"type": "websocket", "scheme": "ws"}
    del scope["method"]
    assert asked.outcome(scope) == 403
    scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"origin"]
    assert asked.outcome(scope) == 403
    scope["headers"].append((b"origin", OWN.encode()))
    assert isinstance(asked.outcome(scope), Caller)


def test_a_wrong_token_is_not_made_up_for_by_a_cookie(asked):
    """What a request says of itself it means; another kind of authorization, such as a proxy's, says nothing here."""
    cookie = asked.cookie()
    assert asked.outcome(request("/x", "GET", cookie=cookie, authorization=f"Bearer {WRONG}")) == 401
    assert isinstance(asked.outcome(request("/x", "GET", cookie=cookie, authorization="Basic YTpi")), Caller)


def test_the_page_at_the_root_is_open_to_browsers_without_a_login(asked):
    """For reading; a wrong token is refused there as everywhere."""
    assert asked.outcome(request("/", "GET")) == asked.outcome(request("/", "HEAD", cookie="millpond_8000=x")) == NOBODY
    assert asked.outcome(request("/", "POST")) == 401
    assert asked.outcome(request("/", "GET", authorization=f"Bearer {WRONG}")) == 401
    assert asked.outcome(request("/", "GET", host="evil.example")) == 421


def test_posting_a_code_needs_the_pages_origin_and_json(asked):
    """Nobody elsewhere logs a browser in as somebody."""
    assert asked.outcome(request("/login", "POST", **PAGE)) == NOBODY
    assert asked.outcome(request("/login", "POST", **PAGE | {"origin": EVIL})) == 403
    assert asked.outcome(request("/login", "POST", content_type="application/json")) == 403
    assert asked.outcome(request("/login", "POST", origin=OWN, content_type="text/plain")) == 415


def test_the_eleventh_wrong_token_of_a_second_is_429(asked):
    """The right one is let in all the same, and other addresses are answered."""
    said = [asked.bearer(WRONG) for _ in range(LIMIT + 1)]
    assert said == [401] * LIMIT + [429]
    assert problem_of(asked, request(authorization=f"Bearer {WRONG}")).headers == {"Retry-After": "1"}
    assert isinstance(asked.bearer(asked.token), Caller)
    assert asked.outcome(request()) == 401
    assert asked.bearer(WRONG, client=("192.0.2.1", 1)) == 401
    asked.clocks.advance(1.0)
    assert asked.bearer(WRONG) == 401


def test_a_revoked_token_and_its_cookies_end_within_a_second(asked):
    """Also the answers that go on; other tokens hold."""
    token_id, token = asked.issue("view")
    cookie = asked.cookie(token_id)
    by_token, by_cookie = asked.bearer(token), asked.outcome(request("/x", "GET", cookie=cookie))
    assert asked.access.holds(by_token)
    assert asked.access.holds(by_cookie)
    asked.access.state.revoke(token_id)
    asked.clocks.advance(1.0)
    assert asked.bearer(token) == asked.outcome(request("/x", "GET", cookie=cookie)) == 401
    assert not asked.access.holds(by_token)
    assert not asked.access.holds(by_cookie)
    assert isinstance(asked.bearer(asked.token), Caller)


def test_a_new_token_is_good_at_once(asked):
    """Whoever uses one that is not known has the server look, though no more than twenty times a second."""
    asked.bearer(asked.token)
    asked.clocks.advance(0.05)
    made, token = asked.access.state.issue("view", None, None, asked.clocks.wall)
    assert asked.bearer(token) == Caller(made.id, "view", "token", made.id)
    _, other = asked.access.state.issue("view", None, None, asked.clocks.wall)
    asked.clocks.advance(0.04)
    assert asked.bearer(other) == 401
    asked.clocks.advance(0.02)
    assert isinstance(asked.bearer(other), Caller)


def test_the_servers_own_token_can_be_revoked_too(asked):
    """The next start makes another, under which its cookies are worth nothing."""
    old, cookie = asked.token, asked.cookie()
    asked.access.state.revoke("local")
    asked.clocks.advance(1.0)
    assert asked.bearer(old) == 401
    again = Asked(asked.folder)
    assert again.token != old
    assert isinstance(again.bearer(again.token), Caller)
    assert again.outcome(request("/x", "GET", cookie=cookie)) == again.bearer(old) == 401
    assert isinstance(again.outcome(request("/x", "GET", cookie=again.cookie())), Caller)


def test_an_expired_token_ends_and_so_do_its_cookies(asked):
    """A clock that is set back while the server runs does not bring it back."""
    token_id, token = asked.issue("call", seconds=60.0)
    cookie = asked.cookie(token_id)
    caller = asked.bearer(token)
    assert isinstance(asked.outcome(request("/x", "GET", cookie=cookie)), Caller)
    assert asked.access.holds(caller)
    asked.clocks.advance(59.0)
    assert asked.bearer(token) == asked.outcome(request("/x", "GET", cookie=cookie)) == 401
    assert not asked.access.holds(caller)


def test_the_wall_clock_of_a_running_server_does_not_go_back(monkeypatch):
    """It follows a clock that is set ahead, and one that is set back it leaves alone."""
    wall = Wall()
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real - 3600)
    assert wall() >= real
    monkeypatch.setattr(time, "time", lambda: real + 3600)
    assert wall() == real + 3600


def test_a_token_of_the_environment_is_the_only_one_of_its_kind(tmp_path):
    """The folder's is not made, and one that is there does not count; issued ones do."""
    Asked(tmp_path / "state")
    other = Asked(tmp_path / "state", {"MILLPOND_TOKEN": WRONG})
    assert isinstance(other.bearer(WRONG), Caller)
    assert other.bearer(other.token) == 401
    assert isinstance(other.bearer(other.issue("view")[1]), Caller)
    Asked(tmp_path / "fresh", {"MILLPOND_TOKEN": WRONG})
    assert not (tmp_path / "fresh" / "token").exists()


def test_a_token_file_that_changes_is_followed(tmp_path):
    """As when a service manager has a link lead to the next version."""
    for name, token in (("one", WRONG), ("two", WRONG[:-1] + "y")):
        (tmp_path / name).write_text(token)
        (tmp_path / name).chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to("one")
    asked = Asked(tmp_path / "state", {"MILLPOND_TOKEN_FILE": str(link)})
    assert isinstance(asked.bearer(WRONG), Caller)
    link.unlink()
    asked.clocks.advance(1.0)
    assert asked.bearer(WRONG) == 401
    link.symlink_to("two")
    asked.clocks.advance(1.0)
    assert asked.bearer(WRONG) == 401
    assert isinstance(asked.bearer(WRONG[:-1] + "y"), Caller)


@pytest.mark.parametrize("name", ["MILLPOND_TOKEN", "MILLPOND_TOKEN_FILE"])
def test_a_token_that_cannot_be_used_refuses_to_start(name, tmp_path):
    """An empty one too: nobody is let in by accident."""
    for value in ("", "secret", str(tmp_path / "nowhere")):
        with pytest.raises(StateError):
            Asked(tmp_path / "state", {name: value})


@pytest.mark.parametrize("place", ["/proc/nowhere/millpond", "/dev/null/millpond"])
def test_without_a_place_for_files_a_given_token_is_enough(place, caplog):
    """In a container that can write nothing; the log says what does not last. Without a token it refuses to start."""
    with pytest.raises(StateError, match="MILLPOND_TOKEN"):
        Asked(Path(place))
    with caplog.at_level(logging.WARNING, "millpond.http"):
        asked = Asked(Path(place), {"MILLPOND_TOKEN": WRONG})
    assert "log in again after a restart" in caplog.text
    assert WRONG not in caplog.text
    assert isinstance(asked.bearer(WRONG), Caller)
    cookie = asked.cookie()
    caller = asked.outcome(request("/x", "GET", cookie=cookie))
    asked.access.log_out(caller)
    assert asked.outcome(request("/x", "GET", cookie=cookie)) == 401


def test_an_unsafe_folder_refuses_to_start_whatever_the_environment(tmp_path):
    """Login codes and issued tokens would lie there."""
    (tmp_path / "state").mkdir(0o700)
    (tmp_path / "state").chmod(0o755)
    for environ in ({}, {"MILLPOND_TOKEN": WRONG}):
        with pytest.raises(StateError, match="chmod 700"):
            Asked(tmp_path / "state", environ)


def test_files_that_become_unsafe_let_nobody_in_until_they_are_mended(asked, caplog):
    """503, once in the log; the same token is good again afterwards."""
    asked.issue()
    (asked.folder / "issued.json").chmod(0o644)
    asked.clocks.advance(1.0)
    with caplog.at_level(logging.ERROR, "millpond.http"):
        for _ in range(3):
            assert asked.bearer(asked.token) == 503
            asked.clocks.advance(1.0)
    assert len(caplog.records) == 1
    (asked.folder / "issued.json").chmod(0o600)
    asked.clocks.advance(1.0)
    assert isinstance(asked.bearer(asked.token), Caller)


def test_files_that_did_not_change_are_not_read_again(asked):
    """A server that has no descriptor left goes on letting people in."""
    for path in asked.folder.iterdir():
        os.utime(path, (NOON, NOON))
    asked.access.tokens._seen = asked.access.tokens._signatures()  # as it is when the files are old
    asked.folder.chmod(0o755)  # would be refused
    asked.clocks.advance(1.0)
    assert isinstance(asked.bearer(asked.token), Caller)


def test_under_a_mount_the_paths_are_those_behind_it():
    """As Starlette and servers with `--root-path` hand them on."""
    paths = [("/pool/healthz", "/pool", "/healthz"), ("/pool", "/pool", ""), ("/poolhealthz", "/pool", "/poolhealthz")]
    for path, root, inner in [*paths, ("/healthz", "", "/healthz"), ("/healthz", "/pool", "/healthz")]:
        assert route_path({"path": path, "root_path": root}) == inner


def test_auth_has_four_meanings(tmp_path, monkeypatch):
    """`"token"`, an `Access`, a callable, or none at all; a misspelling is refused."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    access = access_of("token")
    assert isinstance(access, Access)
    assert access_of(access) is access
    assert access_of(None).check(request()) == PROGRAM
    with pytest.raises(TypeError, match="auth must be"):
        access_of("tokens")  # type: ignore[arg-type]


def test_a_server_without_tokens_lets_no_page_of_another_site_in():
    """Whoever can connect is an administrator; a browser can connect too, and brings others' requests."""
    gate = LocalAccess(["pool.example.com"])
    assert gate.check(request()) == gate.check(request(host="pool.example.com")) == PROGRAM
    assert gate.check(request(origin=OWN)) == PROGRAM
    assert gate.check(request("/healthz", "GET", host="evil.example")) == NOBODY
    for scope, status in [
        (request(host="evil.example"), 421),
        (request(host=None), 421),
        (request(origin=EVIL), 403),
        (request(origin="null"), 403),
        (request("/v1/pools/p/admin/drain", origin="http://127.0.0.1:9999"), 403),
    ]:
        with pytest.raises(Problem) as refused:
            gate.check(scope)
        assert refused.value.status == status


async def test_a_callable_decides_also_asynchronously():
    """Where it names nobody the answer is 401; health stays open."""
    ann = Caller("ann", "call", "program")

    async def decide(scope):
        return ann if scope["path"] == "/ann" else None

    assert access_of(lambda _: ann).check(request()) == ann
    assert access_of(lambda _: None).check(request("/healthz")) == NOBODY
    with pytest.raises(Problem):
        access_of(lambda _: None).check(request())
    with pytest.raises(ValueError, match="needs an owner"):
        access_of(lambda _: Caller("", "call", "program")).check(request())
    gate = access_of(decide)
    assert await gate.check(request("/ann")) == ann
    with pytest.raises(Problem):
        await gate.check(request())


def test_without_tokens_the_host_is_checked_where_some_are_allowed():
    """The loopback's are among them."""
    assert access_of(None).check(request(host="evil.example")) == PROGRAM
    gate = access_of(None, ["pool.example.com"])
    assert gate.check(request(host="pool.example.com")) == gate.check(request()) == PROGRAM
    with pytest.raises(Problem):
        gate.check(request(host="evil.example"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """One for all that is drawn."""
    return Asked(tmp_path_factory.mktemp("shared") / "state")


HEADER = st.tuples(
    st.sampled_from([b"host", b"authorization", b"cookie", b"origin", b"content-type", b"accept"]),
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [b"127.0.0.1:8000", b"Bearer ", b"bearer x", b"millpond_8000=", OWN.encode(), b"application/json"]
        ),
    ),
)


@given(headers=st.lists(HEADER, max_size=8), method=st.sampled_from(["GET", "POST", ""]), path=st.text(max_size=10))
def test_no_headers_make_it_fail_or_let_anybody_in(headers, method, path, shared):
    """Whatever is sent, the answer is a refusal, or an open path's."""
    said = shared.outcome(request("/" + path, method, host=None) | {"headers": headers})
    assert said == NOBODY if isinstance(said, Caller) else said in (401, 403, 415, 421, 429)
