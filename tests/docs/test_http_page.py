"""The page on HTTP: its commands print what it says, and it has every path and every code of the server."""

from __future__ import annotations

import asyncio
import re

import millpond
from millpond.http import app
from millpond.http.asking import GENERATION, IDEMPOTENCY_KEY, OPTIONS, SESSION
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State
from millpond.testing import FakeEngine
from tests.docs.pages import PAGES, ROOT, examples

PAGE = PAGES["docs/http.md"]
ADDRESS = "127.0.0.1:8000"


def console() -> list[tuple[str, str]]:
    """The page's commands in their order, with what each prints."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    parts = [part for block in blocks for part in block.split("$ ")[1:]]
    return [(command, printed.strip()) for command, _, printed in (part.partition("\n") for part in parts)]


async def output_of(command: str) -> str:
    """What a command prints."""
    shell = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await asyncio.wait_for(shell.communicate(), 60)
    return printed.decode().strip()


async def test_the_commands_print_what_the_page_says(tmp_path, monkeypatch):
    """One after the other, against a server of the page's handler; `...` stands for anything."""
    (handler,) = examples("docs/http.md", PAGE)
    (tmp_path / "reading.py").write_text(handler.code)
    monkeypatch.syspath_prepend(tmp_path)
    async with millpond.Pool("reading:Reader", engine=FakeEngine()) as pool:
        (listener,) = open_address("127.0.0.1", 0)
        server = Server(app(pool, auth=None), {}, [listener], State(Limits(), 100), handle_signals=False)
        serving = asyncio.create_task(server.serve())
        try:
            commands = console()
            assert len(commands) > 5
            for command, expected in commands:
                printed = await output_of(command.replace(ADDRESS, f"127.0.0.1:{listener.socket.getsockname()[1]}"))
                pattern = ".*".join(re.escape(part) for part in expected.split("..."))
                assert re.fullmatch(pattern, printed, re.DOTALL), (command, printed)
        finally:
            server.stop()
            await serving


def test_every_path_is_on_the_page():
    """Those of the application with tokens."""
    application = app(millpond.Pool(None), auth=None)
    paths = [str(route.path) for route in application.routes]
    assert len(paths) > 15
    rows = [line for line in PAGE.splitlines() if line.startswith("| `/")]
    ends = [path for path in paths if not any(_names(row, path) for row in rows)]
    assert ends == []


def _names(row: str, path: str) -> bool:
    """Whether a row of the table has a path; one that begins as the row's first may stand by its end alone."""
    first, *others = re.findall(r"`(/[^`]*)`", row.split("|")[1])
    before = first.rpartition("/")[0]
    listed = {first, *others, *(before + other for other in others)}
    return path in listed or (path.startswith("/assets/") and "/assets/..." in listed)


def test_every_code_of_the_server_is_on_the_page():
    """With which a problem is made, but for those that are the pool's own."""
    source = "\n".join(path.read_text() for path in (ROOT / "src/millpond/http").rglob("*.py"))
    codes = set(re.findall(r'(?:Problem|_later)\(\s*\d{3},\s*"(\w+)"', source))
    assert len(codes) > 15
    assert [code for code in sorted(codes - millpond.errors.TABLE.keys()) if f"`{code}`" not in PAGE] == []


def test_every_header_of_a_call_is_on_the_page():
    """Of Millpond's own."""
    own = [header.decode() for header in (*OPTIONS, SESSION, GENERATION, IDEMPOTENCY_KEY)]
    assert [header for header in own if f"| `{header}`" not in PAGE.lower()] == []


def test_every_test_that_the_page_names_exists():
    """A promise whose test was renamed or removed is found."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 10
    assert [name for name in sorted(named) if f"def {name}(" not in written] == []
