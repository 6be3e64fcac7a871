"""The commands and their options; each command's work is in a package of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from millpond import __version__
from millpond.cli.entry import check_installed
from millpond.cli.parameters import AsJson, Flag
from millpond.cli.remote import commands
from millpond.cli.remote.asking import DEFAULT, Server
from millpond.cli.serve.declared_options import LimitOptions, PoolOptions
from millpond.cli.serve.options import ServerOptions
from millpond.cli.serve.sources import SOURCES
from millpond.cli.simulate.command_line import Arguments
from millpond.cli.token_commands import login, token

app = App(
    name="millpond",
    help="A pool of warm, stateful Python worker processes.",
    version=f"millpond {__version__}",
    result_action="return_value",
)

app.register_install_completion_command()
app.command(token)
app.command(login)
for ask in (commands.call, commands.status, commands.report, commands.events):
    app.command(ask)
for order in (commands.resize, commands.drain, commands.reload):
    app.command(order)

NEEDED_TO_SERVE = ("uvicorn", "httptools", "uvloop", "starlette")
NEEDED_BY_DEMO = (*NEEDED_TO_SERVE, "sklearn")

Samples = Annotated[int, Parameter(validator=Number(gte=1, lte=1000))]
Last = Annotated[int, Parameter(validator=Number(gte=1))]
Seconds = Annotated[float | None, Parameter(validator=Number(gte=3, lte=86_400))]
Sessions = Annotated[int, Parameter(validator=Number(gte=1, lte=5_000))]
Workers = Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))]
Port = Annotated[int | None, Parameter(validator=Number(gte=0, lte=65_535))]


@app.command(name="warm-report")
def warm_report(
    handler: str,
    *,
    samples: Samples = 20,
    as_json: AsJson = False,
) -> None:
    """Measure how soon a new worker of a handler answers: cold, imported, preloaded, and with a spare.

    Kills the worker of a pool of its own, again and again, and prints a table.

    Parameters
    ----------
    handler
        The handler as `module:Class`; it is made without arguments.
    samples
        Deaths for each of the four ways.
    as_json
        Print one JSON object.
    """
    from millpond.cli.warm_report.report import report

    report(handler, samples, as_json)


@app.command
def simulate(trace: str, *, arguments: Arguments) -> None:
    """Run recorded or made-up traffic through a simulated pool: what each policy costs, and who waits.

    The pool's own decisions run under a virtual clock; only its workers are simulated.

    Parameters
    ----------
    trace
        A file (CSV with a header, JSON lines, counts a second, each gzipped or not), or traffic to be made, such as
        `poisson:rate=5,span=3600`: poisson, bursty, diurnal, ramp, step, spike, onoff or sessions.
    """
    from millpond.cli.simulate.command import run

    run(trace, arguments)


@app.command
def doctor(*, as_json: AsJson = False) -> None:
    """Look whether this machine and this user can run pools: what is wrong, and how to mend it. Exits with 1 then.

    Parameters
    ----------
    as_json
        Print one JSON object.
    """
    from millpond.cli.doctor.command import doctor as look

    look(as_json)


@app.command
def demo(
    *,
    seconds: Seconds = None,
    sessions: Sessions = 150,
    workers: Workers = None,
    kill: bool = True,
    plain: Flag = False,
    browser: bool = True,
    port: Port = None,
) -> None:
    """Serve two pools that read digits, with the page, under traffic that changes, and kill a worker of each.

    Every answer is checked against a second copy of the model; exits with 1 if one was wrong. In a terminal it goes on
    until Ctrl-C. It touches no file of yours.

    Parameters
    ----------
    seconds
        How long there is traffic; without it, where there is no terminal and with --plain, a minute.
    sessions
        Sessions of each pool.
    workers
        Worker processes of each pool at most (default: the cores, from 2 to 8).
    kill
        Kill a worker of each pool, once.
    plain
        Print lines in place of the live view.
    browser
        Open the page in a browser, where there is one with windows.
    port
        0 takes a free one (default: 8000, or a free one if that is taken).
    """
    check_installed(NEEDED_BY_DEMO, "demo")
    from millpond.cli.demo.command import Asked
    from millpond.cli.demo.command import demo as give

    give(
        Asked(
            seconds=seconds,
            sessions=sessions,
            workers=workers,
            kill=kill,
            plain=plain,
            browser=browser,
            port=port,
        )
    )


@app.command
def top(*, server: Server = DEFAULT) -> None:
    """Show a served pool on the terminal, each second: whether it is well, its numbers, workers, alerts and decisions.

    Keys: q quits, p pauses, s sorts the workers, left and right show another pool. Without --pool it shows `default`,
    or the server's first pool.
    """
    check_installed(("textual",), "cli")
    from millpond.cli.top.command import top as show

    show(server)


@app.command
def explain(
    path: str | None = None,
    *,
    url: str | None = None,
    pool: str | None = None,
    last: Last = 100,
    as_json: AsJson = False,
) -> None:
    """Tell what a pool's optimizer did and why: each decision with what it saw, considered and came to.

    Parameters
    ----------
    path
        The pool's `history_path`; without it the one SQLite file of this folder.
    url
        A running server to ask instead of a file.
    pool
        The name of one pool; without it all that are in the file (of a server: `default`).
    last
        How many decisions.
    as_json
        Print one JSON object.
    """
    if url is not None:
        commands.explain(last, Server(url, pool or DEFAULT.pool, as_json))
        return
    from millpond.cli.explain import explain as print_story

    print_story(path, pool, last, as_json)


@app.command(config=SOURCES)
def serve(
    handler: str | None = None,
    *,
    config: Path | None = None,
    name: str = "default",
    server: ServerOptions = ServerOptions(),  # noqa: B008
    limits: Annotated[LimitOptions | None, Parameter(name="*")] = None,
    settings: Annotated[PoolOptions | None, Parameter(name="*")] = None,
) -> None:
    """Serve a handler's operations over HTTP, or the pools of a file.

    Options come from the command line, else from the environment (MILLPOND_PORT and so on), else from the file.

    Parameters
    ----------
    handler
        The handler as `module:Class`; modules are looked for in this folder, too.
    config
        A TOML file with options of the server and a table [pools.NAME] for each pool.
    name
        Of the handler's pool.
    """
    check_installed(NEEDED_TO_SERVE, "http")
    from millpond.cli.serve.command import serve as run
    from millpond.cli.serve.making import Asked

    run(
        Asked(
            handler=handler,
            config=config,
            name=name,
            options=server,
            limits=limits or {},
            settings=settings or {},
        )
    )
