"""One request and what becomes of it: headers, deadlines, broken connections, repetitions, cancellation."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import socket
import struct
from random import Random

import pytest

import millpond
from millpond.client import served_pool
from tests.client.servers import answer, echo, pack, problem, scripted
from tests.contract.sites import WAIT_S, check, failure, until


async def silence(_asked, _writer):
    await asyncio.sleep(WAIT_S)


async def hang_up(_asked, _writer):
    return True


async def test_a_call_says_what_the_pool_has_to_know():
    """Operation, arguments, options, and who calls; nothing of an option that was not given."""
    async with scripted(echo) as server, server.client(pool="the pool") as pool:
        assert await pool.call("greet/x", "Ann", loud=True) == {"*": ["Ann"], "loud": True}
        plain = server.asked[0]
        assert (plain.method, plain.path) == ("POST", "/v1/pools/the%20pool/call/greet%2Fx")
        assert plain.headers["authorization"] == "Bearer mp_secret"
        assert plain.headers["host"] == f"127.0.0.1:{server.port}"
        assert plain.headers["content-type"] == plain.headers["accept"] == "application/msgpack"
        assert 59 < float(plain.headers["millpond-deadline"]) <= 60
        assert not {name for name in plain.headers if name.startswith(("millpond-", "idempotency"))} - {
            "millpond-deadline"
        }
        full = pool.options(deadline=5, session="a b/ü", idempotent=True, priority=-3, on_cancel="abandon")
        await full.call("greet")
        told = server.asked[1].headers
        assert 4 < float(told["millpond-deadline"]) <= 5
        assert told["millpond-session"] == "a b/ü"
        assert (told["millpond-priority"], told["millpond-on-cancel"]) == ("-3", "abandon")
        assert told["millpond-idempotent"] == "true"
        assert len(told["idempotency-key"]) == 32


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_the_users_own_token_is_for_no_other_users_server(tmp_path, monkeypatch):
    """At a Unix socket the kernel says whose it is; a token that was passed on goes wherever it is passed to."""
    folder = tmp_path / "millpond"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text("mp_" + "x" * 43)
    (folder / "token").chmod(0o600)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("STATE_DIRECTORY", "MILLPOND_TOKEN", "MILLPOND_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    path = str(tmp_path / "socket")
    async with scripted(echo, path=path) as server:
        async with millpond.Client(f"unix:{path}") as pool:
            assert await pool.call("echo", 1) == [1]
        with socket.socket(fileno=os.dup(server.listening.sockets[0].fileno())) as listening:
            os.seteuid(12345)  # who listens from now on
            try:
                listening.listen()
            finally:
                os.seteuid(0)
        async with millpond.Client(f"unix:{path}") as pool:
            assert "of user 12345" in str(check(await failure(pool.call("echo", 2)), "unreachable", "not_started"))
        async with millpond.Client(f"unix:{path}", token="mp_secret") as pool:
            assert await pool.call("echo", 3) == [3]
        told = [asked.headers["authorization"] for asked in server.asked]
        assert told == ["Bearer mp_" + "x" * 43, "Bearer mp_secret"]


async def test_a_sessions_id_that_no_header_can_have_is_refused():
    """It cannot become another header, nor another session."""
    async with scripted(echo) as server, server.client() as pool:
        for wrong in ("a\r\nAuthorization: x", " a", "a ", "a\0", "a\tb"):
            check(await failure(pool.options(session=wrong).call("echo")), "bad_argument", "not_started")
            with pytest.raises(millpond.BadArgument):
                pool.session(wrong)
        assert server.asked == []


async def test_the_server_is_told_what_is_left_when_the_call_leaves():
    """Waiting for a connection is part of the deadline."""
    let_go = asyncio.Event()

    async def first_waits(asked, writer):
        await let_go.wait()
        await echo(asked, writer)

    async with scripted(first_waits) as server, server.client(connections=1) as pool:
        first = asyncio.create_task(pool.call("echo", 1))
        await until(lambda: server.asked)
        second = asyncio.create_task(pool.options(deadline=30).call("echo", 2))
        await asyncio.sleep(0.1)
        let_go.set()
        await asyncio.gather(first, second)
        assert float(server.asked[1].headers["millpond-deadline"]) <= 29.9


async def test_connections_are_kept_and_bounded():
    """One after another takes one connection, many at once no more than there may be."""
    async with scripted(echo) as server, server.client(connections=3) as pool:
        for number in range(5):
            await pool.call("echo", number)
        assert len(server.connections) == 1
        answers = await asyncio.gather(*(pool.call("echo", number) for number in range(50)))
        assert answers == [[number] for number in range(50)]
        assert len(server.connections) == 3


async def test_a_connection_that_the_server_ended_costs_nothing():
    """The call goes out on a new one, whether the loop had heard of the end or not."""
    async with scripted(echo) as server, server.client() as pool:
        for rounds in range(3):
            await pool.call("echo", rounds)
            server.connections[-1].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            if rounds == 1:
                await asyncio.sleep(0.05)
        assert len(server.connections) == 3


async def test_what_nobody_asked_for_spoils_an_idle_connection():
    """Bytes after an answer are never the next call's answer."""

    async def twice(asked, writer):
        writer.write(answer(asked.body))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(answer(pack("of nobody")))

    async with scripted(twice) as server, server.client() as pool:
        assert await pool.call("echo", 1) == [1]
        await asyncio.sleep(0.1)
        assert await pool.call("echo", 2) == [2]
        assert len(server.connections) == 2


async def test_two_answers_in_one_piece_are_one_answer_and_a_broken_connection():
    """The second is nobody's."""

    async def twice(asked, writer):
        writer.write(answer(asked.body) + answer(pack("of nobody")))

    async with scripted(twice) as server, server.client() as pool:
        assert [await pool.call("echo", number) for number in range(3)] == [[0], [1], [2]]
        assert len(server.connections) == 3


async def test_a_server_that_is_not_there_is_unreachable_at_once():
    """Nothing left: the call may be made again. Also an error of the kind that Python has for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with millpond.Client(f"http://127.0.0.1:{free.getsockname()[1]}", token="mp_x") as pool:
            error = check(await failure(pool.call("echo")), "unreachable", "not_started")
            assert isinstance(error, ConnectionError)
    async with millpond.Client("unix:/nowhere/millpond.sock", token="mp_x") as pool:
        assert "/nowhere" in str(check(await failure(pool.call("echo")), "unreachable", "not_started"))
    async with millpond.Client("http://host.invalid", token="mp_x") as pool:
        check(await failure(pool.call("echo")), "unreachable", "not_started")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000,
    ],
)
async def test_an_answer_that_breaks_leaves_the_outcome_unknown(said):
    """The call had left; nothing hangs, nothing is taken for an answer."""

    async def break_off(_asked, writer):
        writer.write(said)
        return True

    async with scripted(break_off) as server, server.client() as pool:
        check(await failure(pool.call("echo")), "unreachable", "unknown")
        assert len(server.asked) == 1


async def test_an_answer_of_no_announced_length_ends_where_the_server_ends_it():
    """One that is cut off, by either side, is no answer, though what came of it could be read."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\n\r\n"
    cut = False

    async def script(_asked, writer):
        writer.write(head + pack(7))
        await writer.drain()
        if cut:
            await asyncio.sleep(0.05)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return True

    async with scripted(script) as server, server.client() as pool:
        assert await pool.call("echo") == 7
        cut = True
        check(await failure(pool.call("echo")), "unreachable", "unknown")

    async def stay(_asked, writer):
        writer.write(head + pack(7))
        await asyncio.sleep(WAIT_S)

    async with scripted(stay) as server:
        pool = await server.client().open()
        running = asyncio.create_task(pool.call("echo"))
        await until(lambda: server.asked)
        await asyncio.sleep(0.05)
        await pool.close(drain=0)
        check(await failure(running), "pool_closed", "unknown")


async def test_a_silent_server_is_given_up_a_moment_after_the_deadline():
    """The outcome is unknown, and the server sees that its client left."""
    async with scripted(silence) as server, server.client(deadline=0.1) as pool:
        error = check(await failure(pool.call("echo")), "deadline_exceeded", "unknown")
        assert isinstance(error, TimeoutError)
        await asyncio.wait_for(server.left.wait(), WAIT_S)


async def test_a_deadline_that_passes_before_the_call_leaves_did_not_start_it():
    """While it waits for a connection, and when there is none left at all."""
    async with scripted(silence) as server, server.client(connections=1) as pool:
        first = asyncio.create_task(pool.call("echo"))
        await until(lambda: server.asked)
        check(await failure(pool.options(deadline=0.05).call("echo")), "deadline_exceeded", "not_started")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        check(await failure(pool.options(deadline=0).call("echo")), "deadline_exceeded", "not_started")
        assert len(server.asked) == 1


async def test_the_servers_own_word_on_the_deadline_counts():
    """It comes a moment later than the deadline, and says whether the call ran."""

    async def late(_asked, writer):
        await asyncio.sleep(0.1)
        writer.write(problem("504 Gateway Timeout", "deadline_exceeded", outcome="not_started", call_id=4))

    async with scripted(late) as server, server.client(deadline=0.05) as pool:
        assert check(await failure(pool.call("echo")), "deadline_exceeded", "not_started").call_id == 4


async def test_cancelling_leaves_the_server():
    """At once, and the connection is not used again."""
    async with scripted(silence) as server, server.client() as pool:
        call = asyncio.create_task(pool.call("echo"))
        await until(lambda: server.asked)
        call.cancel()
        assert isinstance(await failure(call), asyncio.CancelledError)
        await asyncio.wait_for(server.left.wait(), WAIT_S)


async def test_a_call_is_sent_once_unless_it_may_be_repeated(monkeypatch):
    """A broken connection may have carried it."""
    monkeypatch.setattr(served_pool, "BACKOFF_S", 0.01)
    async with scripted(hang_up) as server, server.client(random=Random(1)) as pool:
        check(await failure(pool.call("echo")), "unreachable", "unknown")
        assert len(server.asked) == 1
        check(await failure(pool.options(idempotent=True).call("echo")), "unreachable", "unknown")
        assert len(server.asked) == 1 + served_pool.ATTEMPTS


async def test_a_repeated_call_has_the_same_key_and_less_time():
    """So that a server that had it gives the answer it had; a new call has a new key."""

    async def third_time(asked, writer):
        if len(server.asked) < 2:
            return True
        if len(server.asked) < 3:
            writer.write(answer(b"busy", "text/plain", "503 Service Unavailable", Retry_After="0"))
        else:
            writer.write(answer(asked.body))
        return None

    async with scripted(third_time) as server, server.client() as pool:
        assert await pool.options(idempotent=True).call("echo", 1) == [1]
        assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
        left = [float(asked.headers["millpond-deadline"]) for asked in server.asked]
        assert left == sorted(left, reverse=True)
        await pool.options(idempotent=True).call("echo", 1)
        assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 2


async def test_an_earlier_attempt_that_still_runs_is_waited_for(monkeypatch):
    """Up to the deadline: its answer is the call's. Where there is no time left, nobody knows what comes of it."""
    monkeypatch.setattr(served_pool, "BACKOFF_S", 0.01)
    running = 2 * served_pool.ATTEMPTS

    async def script(asked, writer):
        if len(server.asked) == 1:
            return True
        if len(server.asked) < running:
            writer.write(problem("409 Conflict", "idempotency_running"))
        else:
            writer.write(answer(asked.body))
        return None

    async with scripted(script) as server, server.client() as pool:
        assert await pool.options(idempotent=True).call("echo", 1) == [1]
        assert len(server.asked) == running
        running = 10**6
        server.asked.clear()
        error = await failure(pool.options(idempotent=True, deadline=0.5).call("echo", 1))
        assert (error.code in ("unreachable", "deadline_exceeded"), error.outcome) == (True, "unknown")


async def test_an_attempt_that_did_not_start_does_not_unsay_one_that_may_have_run():
    """The outcome is that of the call, whatever became of its last attempt."""

    async def script(_asked, writer):
        if len(server.asked) == 1:
            return True
        writer.write(problem("503 Service Unavailable", "queue_full", retry_after=60.0))
        return None

    async with scripted(script) as server, server.client() as pool:
        check(await failure(pool.options(idempotent=True).call("echo", 1)), "queue_full", "unknown")


async def test_a_pause_that_the_deadline_has_no_room_for_is_not_waited():
    """The error says how long it would have been."""

    async def full(_asked, writer):
        writer.write(problem("503 Service Unavailable", "queue_full", retry_after=30.0))

    async with scripted(full) as server, server.client(deadline=5) as pool:
        assert check(await failure(pool.call("echo")), "queue_full", "not_started").retry_after == 30
        check(await failure(pool.options(idempotent=True).call("echo")), "queue_full", "not_started")
        assert len(server.asked) == 2


async def test_closing_ends_what_is_under_way_and_refuses_the_rest():
    """After its time; again and again without harm. A call that waited for a connection did not start."""
    async with scripted(silence) as server:
        pool = await server.client(connections=1).open()
        running = asyncio.create_task(pool.call("echo"))
        await until(lambda: server.asked)
        waiting = asyncio.create_task(pool.call("echo"))
        await asyncio.sleep(0)
        await pool.close(drain=0.05)
        check(await failure(running), "pool_closed", "unknown")
        check(await failure(waiting), "pool_closed", "not_started")
        check(await failure(pool.call("echo")), "pool_closed", "not_started")
        await pool.close()
        check(await failure(pool.open()), "pool_closed", "not_started")
        await asyncio.wait_for(server.left.wait(), WAIT_S)


async def test_closing_lets_what_is_under_way_end():
    """Within its time."""
    let_go = asyncio.Event()

    async def wait(asked, writer):
        await let_go.wait()
        await echo(asked, writer)

    async with scripted(wait) as server:
        pool = await server.client().open()
        running = asyncio.create_task(pool.call("echo", 1))
        await until(lambda: server.asked)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        let_go.set()
        assert await running == [1]
        await closing


async def test_no_answer_reaches_the_wrong_caller():
    """Of two thousand calls half are given up at some moment, cancelled or past their deadline; the rest are right."""
    random = Random(7)

    async def slow(asked, writer):
        await asyncio.sleep(random.random() * 0.01)
        said = answer(asked.body)
        cut = random.randrange(len(said))
        writer.write(said[:cut])
        if cut % 2:
            await asyncio.sleep(random.random() * 0.002)
        writer.write(said[cut:])

    async def call(pool, token):
        giving_up = random.random()
        options = pool.options(deadline=random.random() * 0.01) if giving_up < 0.25 else pool
        task = asyncio.create_task(options.call("echo", token))
        if giving_up > 0.75:
            await asyncio.sleep(random.random() * 0.02)
            task.cancel()
        try:
            return await task == [token]
        except (asyncio.CancelledError, millpond.DeadlineExceeded):
            return None

    async with scripted(slow) as server, server.client(connections=20) as pool:
        told = []
        for start in range(0, 2000, 100):
            told += await asyncio.gather(*(call(pool, f"token-{number}") for number in range(start, start + 100)))
        assert False not in told
        assert 500 < told.count(True) < 1900
        assert await pool.call("echo", "last") == ["last"]


async def test_large_bodies_go_there_and_back():
    """Of more than fits into one piece, and in chunks."""

    async def chunked(asked, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(asked.body), 300_000):
            piece = asked.body[start : start + 300_000]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with scripted(chunked) as server, server.client() as pool:
        large = b"x" * 8_000_000
        assert await pool.call("echo", large) == [large]
        assert await pool.call("echo", 1) == [1]
        assert len(server.connections) == 1


async def test_a_refusal_in_the_middle_of_a_large_body_is_told():
    """The server need not read to the end what it does not take."""
    told = asyncio.Event()

    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(problem("413 Content Too Large", "payload_too_large", "too much", outcome="not_started"))
        await told.wait()
        writer.transport.abort()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server, millpond.Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", token="x") as pool:
        check(await failure(pool.call("echo", b"x" * 30_000_000)), "payload_too_large", "not_started")
        told.set()
        await asyncio.sleep(0)


async def test_the_token_is_in_no_text(caplog):
    """Not in what the client says of itself, nor in the log at its finest, nor in errors."""
    caplog.set_level(logging.DEBUG)

    async def deny(_asked, writer):
        writer.write(problem("401 Unauthorized", "unauthorized", "who are you?"))

    async with scripted(deny) as server, server.client() as pool:
        error = check(await failure(pool.call("echo")), "access_denied", "not_started")
        assert isinstance(error, PermissionError)
        said = [repr(pool), str(pool), repr(error), str(error), caplog.text]
        assert "mp_secret" not in "".join(said)
    for wrong in ("mp canary", "canary\r\nX: y", "", "canaryü"):
        with pytest.raises(ValueError, match="token is not empty") as told:
            millpond.Client(token=wrong)
        assert "canary" not in str(told.value)


async def test_a_client_is_not_sent_elsewhere():
    """It holds a token and connections: neither is for whoever unpickles it."""
    for made in (millpond.Client(token="mp_x"), millpond.SyncClient(token="mp_x")):
        with pytest.raises(TypeError, match="make one where it is used"):
            pickle.dumps(made)


async def test_a_client_belongs_to_its_loop():
    """On another it says so; before it is opened, and where there is no loop, too."""
    async with scripted(echo) as server:
        pool = server.client()
        check(await failure(pool.call("echo")), "pool_closed", "not_started")
        async with pool:
            with pytest.raises(RuntimeError, match="another event loop; use SyncClient"):
                await asyncio.to_thread(lambda: asyncio.run(pool.call("echo")))
            assert await pool.call("echo") == {}


def test_a_client_needs_asyncio():
    """Elsewhere, under trio for instance, it says what to use instead."""
    with pytest.raises(RuntimeError, match=r"trio's will not.*use SyncClient"):
        millpond.Client(token="mp_x").open().send(None)
