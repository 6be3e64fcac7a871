"""The environment variables of a pool's processes: what is taken over from the program, what is set, what is removed.

Part of the vocabulary. The warden runs code of the handler's, so its environment is the workers'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

# Without these neither programs nor temporary files are found, and text is read in another encoding.
ALWAYS = ("PATH", "HOME", "LANG", "LC_*", "TMPDIR")
RUN_ID = "MILLPOND_RUN_ID"
IMAGE_ID = "MILLPOND_IMAGE_ID"  # of the warm image a process comes from: a pool that loads code anew has several
# What opens a server to its holder. No process that runs a handler's or a policy's code is given it.
TOKEN = "MILLPOND_TOKEN"
TOKEN_FILE = "MILLPOND_TOKEN_FILE"
SECRETS = frozenset({TOKEN, TOKEN_FILE})


def image_mark(image: str, program: Mapping[str, str]) -> str:
    """The value of `IMAGE_ID`: behind the images that the program itself comes from, where a worker has a pool."""
    outer = program.get(IMAGE_ID)
    return f"{outer}/{image}" if outer else image


def check_environment(chosen: Mapping[str, str | None], inherited: Sequence[str] | None) -> None:
    """Raise `TypeError` or `ValueError` for the settings `worker_env` and `inherit_env`; tells names, never values."""
    for name, value in chosen.items():
        if not isinstance(name, str) or not (value is None or isinstance(value, str)):
            raise TypeError(f"worker_env[{name!r}] must be text, or None to remove it, not {type(value).__name__}")
        if not name or {"=", "\0"} & set(name) or "\0" in (value or ""):
            raise ValueError(f"worker_env[{name!r}] cannot be a variable: names have no '=', and neither part has NUL")
        if name in (RUN_ID, IMAGE_ID):
            raise ValueError(f"worker_env cannot change {name}, by which the pool finds its processes")
        if name in SECRETS and value is not None:
            raise ValueError(f"worker_env cannot hand on {name}: no handler is given what opens the server")
    for pattern in inherited or ():
        if not isinstance(pattern, str):
            raise TypeError(f"inherit_env must list names or globs of variables, such as 'AWS_*', not {pattern!r}")


def made_of(
    program: Mapping[str, str], chosen: Mapping[str, str | None], inherited: Sequence[str] | None
) -> dict[str, str]:
    """The environment: of the program's what is to be inherited (`None`: all), with what is `chosen` over it."""
    wanted = ("*",) if inherited is None else (*ALWAYS, *inherited)
    kept = {name: value for name, value in program.items() if any(fnmatchcase(name, glob) for glob in wanted)}
    return {name: value for name, value in {**kept, **chosen}.items() if value is not None and name not in SECRETS}


def without_secrets(program: Mapping[str, str]) -> dict[str, str]:
    """The program's environment without what opens a server."""
    return {name: value for name, value in program.items() if name not in SECRETS}
