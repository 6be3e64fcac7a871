"""What pages load from `/assets/`: a table of names, made with the first application. No path of a request reaches the
file system.
"""

from __future__ import annotations

import gzip
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PACKAGES = ("millpond.http", *(f"millpond.http.{one}" for one in ("access", "documentation", "dashboard")))
_SMALL = 1024  # bytes: one packet carries it either way


class Asset(NamedTuple):
    """One file: its bytes, its media type, and the tag by which a browser asks whether it has changed.

    `gzipped` is `None` for one that is not worth it.
    """

    body: bytes
    kind: str
    etag: str
    gzipped: bytes | None


def assets_of(package: str) -> dict[str, Asset]:
    """The files of the folder `static` of a package, by name; those of other kinds are not served."""
    folder = files(package).joinpath("static")
    return {
        file.name: _asset(file.read_bytes(), kind)
        for file in (folder.iterdir() if folder.is_dir() else ())
        if (kind := _KINDS.get(file.name.rpartition(".")[2])) and file.is_file()
    }


def _asset(body: bytes, kind: str) -> Asset:
    gzipped = gzip.compress(body, mtime=0) if len(body) > _SMALL else None
    return Asset(body, kind, f'"{sha256(body).hexdigest()[:32]}"', gzipped)


@cache
def assets() -> dict[str, Asset]:
    """The files of all pages, by name."""
    return {name: asset for package in PACKAGES for name, asset in assets_of(package).items()}
