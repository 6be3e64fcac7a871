"""The files that a pool keeps: where one may be, and that only its owner reads it.

Part of the vocabulary. They are SQLite's, which keeps others beside them.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    import sqlite3

_BESIDE = ("-wal", "-shm", "-journal")
_OWNERS_ONLY = 0o600


def check_place(setting: str, path: str | os.PathLike[str]) -> None:
    """Raise `ValueError` if no file can be kept there."""
    name = os.fspath(path)
    if not name or name == ":memory:":
        raise ValueError(f"{setting} must be the path of a file, not {name!r}; without one all is kept in memory")
    folder = os.path.dirname(os.path.abspath(name))
    if not os.path.isdir(folder):
        raise ValueError(f"{setting} is {name!r}, but there is no folder {folder!r}; make it first")
    if os.path.isdir(name):
        raise ValueError(f"{setting} is {name!r}, which is a folder, not a file")


def create_private(path: str | os.PathLike[str]) -> None:
    """Make the file, for its owner only, if it is not there. Raises `OSError`.

    One that is there is not opened: closing it would drop the locks of this program's connections.
    """
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNERS_ONLY))


def connect(path: str | os.PathLike[str], mode: str, timeout_s: float) -> sqlite3.Connection:
    """An SQLite file of an absolute path, for reading (`ro`), writing (`rw`), or made if need be (`rwc`).

    Raises `sqlite3.Error`, also for one that is locked for so long.
    """
    import sqlite3  # not in the workers, which read the settings too

    return sqlite3.connect(f"file:{quote(os.fspath(path))}?mode={mode}", timeout=timeout_s, uri=True)


def make_private(path: str | os.PathLike[str]) -> None:
    """Take from all but the owner a file that is known to be ours, and those beside it. Raises `OSError`."""
    name = os.path.realpath(path)
    for one in (name, *(name + ending for ending in _BESIDE)):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(os.stat(one).st_mode) & ~_OWNERS_ONLY:
                os.chmod(one, _OWNERS_ONLY)
