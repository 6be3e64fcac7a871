"""Where the network cuts a stream of requests makes no difference, and no bytes whatever raise."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config

from millpond.http.server.connection import Connection
from millpond.http.server.limits import Limits
from millpond.http.server.state import State
from tests.http.server.rig import Echo
from tests.http.server.test_malformed import REFUSED

REQUESTS = [
    b"GET /a?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n",
    b"HEAD /d HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\r\nGET /parts HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nignored",
    b"GET /e HTTP/1.0\r\n\r\n",
    b"GET /f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /g HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
]
SHORT = [text for _, text in REFUSED.values() if len(text) <= 300]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.is_over = False

    def write(self, data: Any) -> None:
        assert not self.is_over, "written after the end"
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True

    write_eof = abort = close

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def said(pieces: list[bytes]) -> str:
    """What is answered to a stream that comes in these pieces."""
    loop = asyncio.get_running_loop()
    state = State(Limits(), 10)
    config = Config(Echo(), ws="none", log_config=None)
    config.load()
    connection, transport = Connection(config, state, {}, loop), Transport()
    connection.connection_made(transport)
    for piece in pieces:
        if not transport.is_over:
            connection.data_received(piece)
            for _ in range(4):
                await asyncio.sleep(0)
    while state.tasks and not transport.is_over:
        await asyncio.sleep(0)
        if all(one.more_body for one in (connection.cycle, connection.newest) if one is not None):
            break  # it waits for what does not come
    connection.connection_lost(None)
    for task in tuple(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return re.sub(r"date: .*", "", transport.written.decode("latin-1"))


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[begin:end] for begin, end in itertools.pairwise(edges) if begin < end]


PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6), PLACES)
def test_requests_are_answered_alike_however_they_are_cut(requests, places):
    """Byte for byte the same answers, in the same order, to the same end."""
    text = b"".join(requests)
    assert asyncio.run(said(cut(text, places))) == asyncio.run(said([text]))


@given(st.lists(st.sampled_from(REQUESTS[:5]), max_size=2), st.sampled_from(SHORT), PLACES)
def test_a_refusal_is_the_same_however_it_is_cut(requests, bad, places):
    """After the answers to the requests before it."""
    text = b"".join([*requests, bad])
    assert asyncio.run(said(cut(text, places))) == asyncio.run(said([text]))


@given(
    st.sampled_from([*REQUESTS, *SHORT]), st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=3)), max_size=4)
)
def test_no_bytes_whatever_raise(text, changes):
    """Whatever is changed in a request, what comes back is answers, and nothing after the end."""
    for place, put in changes:
        where = place % (len(text) + 1)
        text = text[:where] + put + text[where + len(put) :]
    answer = asyncio.run(said([text, text]))
    assert answer == "" or answer.startswith("HTTP/1.1 ")
