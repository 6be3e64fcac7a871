"""What a server keeps in its state folder: its token, the tokens that were issued, login codes, the key of cookies.

Every file is made anew beside the old one and put in its place while the folder's lock is held, so that readers, who
take no lock, see the old or the new one, and two servers that start at once make one token.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, TypeVar

import msgspec

from millpond.environment import TOKEN, TOKEN_FILE
from millpond.http.access.caller import Role
from millpond.token_file import NAME, NoStateFolder, StateError, opened_folder, read_private, read_token, state_folder

T = TypeVar("T")

LOCAL = "local"  # id and owner of the token that a server makes for itself
ISSUED = "issued.json"
LOGOUTS = "logouts.json"
CODE_S = 600.0  # a login code holds
SLACK_S = 60.0  # between the clocks of who makes a code or cookie and who reads it
CODES = 100  # unused ones at most
_KEY = "cookie-key"
_LOCK = "lock"
_CODE_PREFIX = "login-"
_OWNER = r"\A[A-Za-z0-9._@-]{1,64}\Z"


class IssuedToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token that was issued: of the token itself only its SHA-256 (hexadecimal) is kept. Times are Unix seconds."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9]{1,32}\Z")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    role: Role
    owner: Annotated[str, msgspec.Meta(pattern=_OWNER)]
    created: float
    expires: float | None = None


class _Code(msgspec.Struct, frozen=True):
    token_id: str
    expires: float


def new_token() -> str:
    """A token of 256 random bits."""
    return "mp_" + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What is kept of a token: it cannot be turned back, and a token has too many bits to be found by trying."""
    return hashlib.sha256(token.encode()).hexdigest()


class StateFolder:
    """The state folder. Each method raises `StateError` if the folder or a file in it is not safe to use."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = os.path.abspath(folder or state_folder())

    def path(self, name: str) -> str:
        """Of one of its files."""
        return os.path.join(self.folder, name)

    def token(self) -> str:
        """The server's own, which is made if there is none."""
        with self._locked() as folder:
            try:
                return read_token(folder)
            except FileNotFoundError:
                _write(folder, NAME, (token := new_token()).encode() + b"\n")
                return token

    def cookie_key(self) -> bytes:
        """The 32 bytes that cookies are signed with, which are made if there are none."""
        with self._locked() as folder:
            try:
                key = read_private(folder, _KEY)
            except FileNotFoundError:
                _write(folder, _KEY, key := secrets.token_bytes(32))
            if len(key) != 32:
                raise StateError(f"{self.path(_KEY)!r} is damaged; remove it (whoever is logged in must log in again)")
            return key

    def own_token(self) -> str | None:
        """The server's own, if there is one."""
        with suppress(FileNotFoundError), opened_folder(self.folder) as folder:
            return read_token(folder)
        return None

    def is_used(self) -> bool:
        """Whether a server has kept anything here."""
        with suppress(FileNotFoundError), opened_folder(self.folder) as folder:
            return _KEY in os.listdir(folder)
        return False

    def issued(self) -> list[IssuedToken]:
        """The tokens that were issued and not revoked, the expired ones among them."""
        with suppress(FileNotFoundError), opened_folder(self.folder) as folder:
            return self._issued(folder)
        return []

    def issue(self, role: Role, owner: str | None, expires: float | None, now: float) -> tuple[IssuedToken, str]:
        """Issue a token; returns what is kept of it, and the token, which nobody can find out again.

        Raises `ValueError` for an owner that cannot be.
        """
        if owner is not None and not re.search(_OWNER, owner):
            raise ValueError(f"an owner is 1 to 64 of A-Z a-z 0-9 . _ @ -, not {owner!r}")
        with self._locked() as folder:
            issued = self._issued(folder)
            token, token_id = new_token(), _new_id({one.id for one in issued})
            made = IssuedToken(token_id, digest_of(token), role, owner or token_id, now, expires)
            _write(folder, ISSUED, msgspec.json.encode([*issued, made]))
        return made, token

    def revoke(self, token_id: str) -> bool:
        """End a token, `local` too, in whose place the next start makes another; whether there was one."""
        with self._locked() as folder:
            if token_id == LOCAL:
                return _remove(folder, NAME)
            issued = self._issued(folder)
            kept = [one for one in issued if one.id != token_id]
            if len(kept) < len(issued):
                _write(folder, ISSUED, msgspec.json.encode(kept))
            return len(kept) < len(issued)

    def new_code(self, token_id: str, now: float) -> str:
        """A login code of 128 bits for the browser of a token's holder. Raises `StateError` if too many are unused."""
        code = secrets.token_urlsafe(16)
        with self._locked() as folder:
            if self._drop_expired_codes(folder, now) >= CODES:
                raise StateError(f"{CODES} login codes are unused; use one, or wait {CODE_S / 60:.0f} minutes")
            _write(folder, _code_name(code), msgspec.json.encode(_Code(token_id, now + CODE_S)))
        return code

    def take_code(self, code: str, now: float) -> str | None:
        """The id of the token whose holder may log in by this code, once; `None` for one that is not valid."""
        name = _code_name(code)
        try:
            with opened_folder(self.folder) as folder:
                found = _decoded(read_private(folder, name), _Code, self.path(name))
                # Of several who use it at once, in any process, one finds the file to remove.
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return None
        return found.token_id if now < found.expires <= now + CODE_S + SLACK_S else None

    def logouts(self) -> dict[str, float]:
        """The logins that were ended by logging out, with when their cookies would have ended."""
        with suppress(FileNotFoundError), opened_folder(self.folder) as folder:
            return self._logouts(folder)
        return {}

    def log_out(self, login: str, expires: float, now: float) -> None:
        """Remember that the cookies of a login are not valid any more."""
        with self._locked() as folder:
            kept = {known: until for known, until in self._logouts(folder).items() if until > now}
            _write(folder, LOGOUTS, msgspec.json.encode({**kept, login: expires}))

    def _issued(self, folder: int) -> list[IssuedToken]:
        try:
            return _decoded(read_private(folder, ISSUED), list[IssuedToken], self.path(ISSUED))
        except FileNotFoundError:
            return []

    def _logouts(self, folder: int) -> dict[str, float]:
        try:
            return _decoded(read_private(folder, LOGOUTS), dict[str, float], self.path(LOGOUTS))
        except FileNotFoundError:
            return {}

    def _drop_expired_codes(self, folder: int, now: float) -> int:
        """Remove them; returns how many are left."""
        left = 0
        for name in [name for name in os.listdir(folder) if name.startswith(_CODE_PREFIX)]:
            with suppress(FileNotFoundError):  # used at this moment
                if now < _decoded(read_private(folder, name), _Code, self.path(name)).expires:
                    left += 1
                else:
                    os.unlink(name, dir_fd=folder)
        return left

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The folder, made if need be, while no other process writes there."""
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            with opened_folder(self.folder) as folder:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                lock = os.open(_LOCK, flags, 0o600, dir_fd=folder)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    yield folder
                finally:
                    os.close(lock)
        except OSError as error:
            raise NoStateFolder(
                f"the state folder {self.folder!r} cannot be written ({error.strerror}): name another by "
                f"XDG_STATE_HOME, or give the server its token as {TOKEN_FILE} or {TOKEN}"
            ) from None


def _write(folder: int, name: str, body: bytes) -> None:
    """Put a file in its place at once, readable by its owner only from the beginning."""
    new = f".new-{secrets.token_hex(8)}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)  # whatever the umask
            file.write(body)
            file.flush()
            os.fsync(fd)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _remove(folder, new)
        raise


def _remove(folder: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _decoded(body: bytes, kind: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateError(f"{path!r} is damaged ({error}); remove it") from None


def _code_name(code: str) -> str:
    return _CODE_PREFIX + digest_of(code)[:32]


def _new_id(taken: set[str]) -> str:
    while (made := "t" + secrets.token_hex(4)) in taken:
        pass
    return made
