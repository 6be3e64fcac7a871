"""Where a server's token is: in the environment, or in a file of the state folder that only its owner can read.

Part of the vocabulary: servers, commands and clients find and read it alike. What only a server writes there is in
`http.access.state_folder`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from millpond.environment import TOKEN, TOKEN_FILE

SHAPE = re.compile(r"mp_[A-Za-z0-9_-]{43}")
NAME = "token"  # of the file in the state folder
_MOST_BYTES = 64 * 2**20  # of any file there
_DAMAGED = "it must hold one token, which is 'mp_' and 43 characters of A-Z a-z 0-9 _ -"


class StateError(Exception):
    """A token or the state folder cannot be used as it is; the text says what is wrong and how to mend it."""


class NoStateFolder(StateError):
    """There can be no state folder: no place for it, or none that can be written."""


def state_folder(environ: Mapping[str, str] = os.environ) -> str:
    """`$STATE_DIRECTORY` (systemd's; the first of several), `$XDG_STATE_HOME/millpond` or `~/.local/state/millpond`."""
    if given := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return given
    home = environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    base = home if os.path.isabs(home) else os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "millpond")


def known_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """The token a client or command of this user has: of the environment, else of the state folder, else `None`.

    Raises `StateError` for one that is there and cannot be used.
    """
    if (given := given_token(environ)) is not None:
        return given
    try:
        with opened_folder(state_folder(environ)) as folder:
            return read_token(folder)
    except FileNotFoundError:
        return None


def given_token(environ: Mapping[str, str]) -> str | None:
    """What `MILLPOND_TOKEN`, else the file `MILLPOND_TOKEN_FILE`, says; raises `StateError` if it is no token."""
    if TOKEN in environ:
        return _checked(environ[TOKEN], f"the variable {TOKEN}")
    return token_in(environ[TOKEN_FILE]) if TOKEN_FILE in environ else None


def token_in(path: str) -> str:
    """The token in a file that `MILLPOND_TOKEN_FILE` names. Raises `StateError`.

    A service manager may own it (root's, readable by our group) and may have made it a link: both are of whoever
    chose the name.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StateError(f"{TOKEN_FILE} is {path!r}, which cannot be read: {error.strerror}") from None
    with os.fdopen(fd, "rb") as file:
        _check_file(os.fstat(fd), path, or_root=True)
        return _checked(_text(file.read(1024), path), f"the file {path!r}")


def read_token(folder: int) -> str:
    """The token of an open state folder. Raises `FileNotFoundError`, `StateError`."""
    return _checked(_text(read_private(folder, NAME), NAME), f"the file {NAME!r} of the state folder")


@contextmanager
def opened_folder(path: str) -> Iterator[int]:
    """A descriptor of the state folder, which is checked: a folder, ours, closed to others.

    Raises `FileNotFoundError`, `StateError`.
    """
    try:
        fd = os.open(_followed(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if not os.path.lexists(path):  # also where a home is no folder, or another user's
            raise FileNotFoundError(path) from None
        why = "is a link or no folder" if error.errno in (errno.ELOOP, errno.ENOTDIR) else f"fails: {error.strerror}"
        raise StateError(f"the state folder {path!r} {why}; make it a folder of your own with mode 0700") from None
    try:
        facts = os.fstat(fd)
        if facts.st_uid != os.geteuid():
            raise StateError(
                f"the state folder {path!r} belongs to user {facts.st_uid}, not to {os.geteuid()}, who runs this; "
                f"run as its owner, or name another by XDG_STATE_HOME"
            )
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise StateError(
                f"the state folder {path!r} is open to others (mode {stat.S_IMODE(facts.st_mode):04o}); "
                f"close it: chmod 700 {path} (under systemd: StateDirectoryMode=0700)"
            )
        yield fd
    finally:
        os.close(fd)


def read_private(folder: int, name: str) -> bytes:
    """A file of an open state folder, which is checked: plain, ours, closed to others.

    Raises `FileNotFoundError`, `StateError`.
    """
    try:
        # Not blocking: someone may have put a pipe there.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise StateError(f"{_shown(folder, name)!r} {why}; remove it, and it is made again") from None
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        _check_file(facts, _shown(folder, name))
        if facts.st_size > _MOST_BYTES:
            raise StateError(f"{_shown(folder, name)!r} is too large ({facts.st_size:,} bytes); remove it")
        return file.read()


def _check_file(facts: os.stat_result, path: str, *, or_root: bool = False) -> None:
    mode = stat.S_IMODE(facts.st_mode)
    if not stat.S_ISREG(facts.st_mode):
        raise StateError(f"{path!r} is no plain file; remove it")
    is_ours = facts.st_uid == os.geteuid()
    if not is_ours and not (or_root and facts.st_uid == 0):
        raise StateError(
            f"{path!r} belongs to user {facts.st_uid}, not to {os.geteuid()}, who runs this; "
            f"others may know what is in it: use a file of your own"
        )
    if mode & (0o077 if is_ours else 0o037):
        raise StateError(
            f"{path!r} is open to others (mode {mode:04o}), who may know what is in it: "
            f"remove it or replace what it holds, and close it: chmod 600 {path}"
        )


def _followed(path: str) -> str:
    """The path; or what it leads to, where root has made a link for us, as systemd does under `DynamicUser=`."""
    try:
        facts = os.lstat(path)
    except OSError:
        return path
    is_roots = stat.S_ISLNK(facts.st_mode) and facts.st_uid == 0 != os.geteuid()
    return os.path.realpath(path) if is_roots else path


def _checked(text: str, place: str) -> str:
    """The token, without the white space around it; a message never shows any of it."""
    if not SHAPE.fullmatch(stripped := text.strip()):
        raise StateError(f"{place} is no token of Millpond: {_DAMAGED}")
    return stripped


def _text(body: bytes, path: str) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise StateError(f"{path!r} is damaged: {_DAMAGED}") from None


def _shown(folder: int, name: str) -> str:
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
