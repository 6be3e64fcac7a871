"""Where options come from: command line, environment, file, default, in this order; and what a file may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from millpond import Slo
from millpond.cli.app import app
from millpond.cli.serve.configuration import WrongConfiguration, line_of, make_pool, read
from millpond.cli.serve.start_failure import told
from millpond.http.server.limits import Limits
from millpond.settings import FIELDS

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"


@pytest.fixture
def write(tmp_path):
    """A function that writes a file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "millpond.toml"
        path.write_text(text)
        return str(path)

    return write


def parsed(*tokens: str) -> dict[str, object]:
    """What `millpond serve` would be run with: of the server, the limits and the pools."""
    _, bound, _ = app.parse_args(["serve", *tokens], exit_on_error=False)
    server = bound.arguments.get("server")
    found = dict(vars(server)) if server is not None else {}
    for name in ("limits", "settings"):
        found |= bound.arguments.get(name) or {}
    return found


def test_the_command_line_comes_before_the_environment_before_the_file(write, monkeypatch):
    """Each option is looked up alone."""
    path = write('port = 1\nhost = "::1"\nuds-mode = "660"\nlimit_body = 5\ntimeout_headers = 2.5\n')
    monkeypatch.setenv("MILLPOND_HOST", "127.0.0.2")
    monkeypatch.setenv("MILLPOND_PORT", "2")
    monkeypatch.setenv("MILLPOND_LIMIT_BODY", "6")
    monkeypatch.setenv("MILLPOND_DEADLINE", "none")
    found = parsed("--config", path, "--port", "3")
    assert (found["port"], found["host"], found["uds_mode"]) == (3, "127.0.0.2", "660")
    assert (found["limit_body"], found["timeout_headers"]) == (6, 2.5)
    assert found["deadline"] is None
    assert "min_workers" not in found


def test_the_file_can_be_named_by_the_environment(write, monkeypatch):
    """As every option."""
    monkeypatch.setenv("MILLPOND_CONFIG", write('port = 7\nallowed_host = ["a", "b"]\n'))
    found = parsed()
    assert (found["port"], found["allowed_host"]) == (7, ("a", "b"))


def test_the_token_is_no_option(monkeypatch):
    """Nor is it taken for one."""
    monkeypatch.setenv("MILLPOND_TOKEN", "mp_x")
    monkeypatch.setenv("MILLPOND_RUN_ID", "x")
    assert "mp_x" not in str(parsed("a:B"))
    with pytest.raises(Exception, match="--token"):
        parsed("a:B", "--token", "mp_x")


def test_options_are_read_the_same_beside_pydantic():
    """The reader of the command line checks values by it as soon as it is loaded; what was not given has none."""
    import pydantic

    assert pydantic
    assert parsed("a:B", "--affinity", "hint", "--limit-body", "5")["limit_body"] == 5


def test_every_limit_and_nearly_every_setting_is_an_option():
    """Those are missing that cannot be written as text; a file has them."""
    from millpond.cli.serve.declared_options import LimitOptions, PoolOptions

    assert set(LimitOptions.__annotations__) == set(Limits.__dataclass_fields__)
    assert set(FIELDS) - set(PoolOptions.__annotations__) == {"slo", "warmup", "warm_strategy"}


def test_a_table_of_the_file_is_a_pool(write):
    """With what TOML cannot write made from what stands for it; the command line's settings are over it."""
    path = write(
        """
        [pools.reader]
        handler = "mine:Reader"
        args = [1]
        kwargs = {model = "small"}
        profile = "low_latency"
        min-workers = 2
        max_workers = 4
        slo = {wait = 0.2, share = 0.9}
        worker_env = {A = "1"}

        [[pools.reader.warmup]]
        operation = "read"
        args = ["a"]
        required = false
        """
    )
    found = read(path)
    pool = make_pool("reader", found.pools["reader"], {"max_workers": 3}, found)
    settings = pool.settings
    assert (pool.name, settings.codec, settings.min_workers, settings.max_workers) == ("reader", "msgpack", 2, 3)
    assert (settings.slo, dict(settings.worker_env)) == (Slo(wait=0.2, share=0.9), {"A": "1"})
    assert [(one.target, one.args, one.required) for one in settings.warmup] == [("read", ("a",), False)]
    pool.close_unopened()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prot = 1\n", r"millpond.toml:1: unknown key 'prot' of the server; did you mean 'port'\?"),
        ("port = 1\n[pools.a]\nhandlr = 'a:B'\n", r"millpond.toml:3: unknown key 'handlr' of \[pools.a\].*'handler'\?"),
        ("[pools.a]\nhandler = 'a:B'\ntimeout = 3\n", r"millpond.toml:3: .*did you mean 'deadline'\?"),
        ("[pool.a]\n", r"millpond.toml:1: unknown key 'pool' of the server; did you mean 'pools'\?"),
        ("pools = 3\n", r"millpond.toml:1: pools are tables"),
        ("port = = 3\n", r"millpond.toml is no TOML: .*line 1"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(write, text, why):
    """And the nearest key that is known."""
    with pytest.raises(WrongConfiguration, match=why):
        read(write(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[pools.a]\nmin_workers = 1\n", r"millpond.toml:1: the pool 'a' has no handler"),
        ("[pools.a]\nhandler = 'a:B'\n\nmin_workers = -1\n", r"millpond.toml:4: min_workers must be from 0"),
        ("[pools.a]\nhandler = 'a:B'\ncodec = 'xml'\n", r"millpond.toml:3: codec must be one of"),
        ("[pools.a]\nhandler = 'a:B'\nslo = {wait = -1}\n", r"an objective's wait must be"),
        ("[pools.a]\nhandler = 'a:B'\nslo = {wiat = 1}\n", r"millpond.toml:3: slo has no 'wiat'; did you mean 'wait'"),
        ("[pools.a]\nhandler = 'a:B'\nargs = 'xy'\n", r"millpond.toml:3: args is an array, not 'xy'"),
        ("[pools.a]\nhandler = 'a:B'\nwarmup = ['x']\n", r"millpond.toml:3: warmup is made of tables"),
        (
            "[pools.a]\nhandler = 'a:B'\n[[pools.a.warmup]]\noperaton = 'x'\n",
            r"millpond.toml:3: warmup has no 'operaton'; did you mean 'operation'",
        ),
        ("[pools.a]\nhandler = 'a:B'\nwarm_strategy = 'no_module:x'\n", r"warm_strategy 'no_module:x' is not there"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_line(write, text, why):
    """By the words with which the pool refuses it."""
    found = read(write(text))
    with pytest.raises(WrongConfiguration, match=why):
        make_pool("a", found.pools["a"], {}, found)


def test_the_file_of_the_page_says_nothing_unknown(write):
    """What is shown can be used."""
    (text,) = re.findall(r"<!-- file -->\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = write(text)
    found = read(path)
    for name, table in found.pools.items():
        make_pool(name, table, {}, found).close_unopened()
    assert parsed("--config", path)["allowed_host"] == ("pool.example.com",)


@pytest.mark.parametrize(
    ("table", "key", "line"),
    [((), "port", 1), (("pools", "a b"), "args", 4), (("pools", "a b"), "slo", 5), (("pools", "c"), None, None)],
)
def test_a_line_is_found_where_it_is_written_in_the_usual_way(table, key, line):
    """Keys may be quoted, and tables under a table count as its keys."""
    text = 'port = 1\n# args = 0\n[ pools."a b" ]\n"args" = []\n[pools."a b".slo]\nwait = 1\n'
    assert line_of(text, table, key) == line


def test_a_failure_without_a_traceback_is_told_as_it_is():
    """A pool may have other reasons not to open."""
    assert told(RuntimeError("no memory"), "a") == "pool 'a': no memory"
