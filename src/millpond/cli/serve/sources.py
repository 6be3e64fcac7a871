"""Where `millpond serve` has its options from beside the command line: the environment, then the file."""

from __future__ import annotations

from cyclopts import App, ArgumentCollection
from cyclopts.argument import update_argument_collection
from cyclopts.config import Env


def from_file(app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """What the file says of the server, where neither command line nor environment does."""
    config = next(argument for argument in arguments if argument.name == "--config")
    if config.tokens:
        from millpond.cli.serve.configuration import read_or_exit

        found = read_or_exit(config.tokens[-1].value)
        apps = app.app_stack.stack[-1]
        update_argument_collection(dict(found.server), found.path, arguments, apps, root_keys=(), allow_unknown=False)


# cyclopts asks them in this order, and the first that knows an option has it.
SOURCES = (Env("MILLPOND_", command=False), from_file)
