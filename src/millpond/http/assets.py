"""What pages load from `/assets/`: a table of names made at import. No path of a request reaches the file system."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """One file: its bytes, its media type, and the tag by which a browser asks whether it has changed."""

    body: bytes
    kind: str
    etag: str


def assets_of(package: str) -> dict[str, Asset]:
    """The files of the folder `static` of a package, by name; those of other kinds are not served."""
    return {
        file.name: Asset(body := file.read_bytes(), kind, f'"{sha256(body).hexdigest()[:32]}"')
        for file in files(package).joinpath("static").iterdir()
        if (kind := _KINDS.get(file.name.rpartition(".")[2])) and file.is_file()
    }


ASSETS: dict[str, Asset] = assets_of("millpond.http.access") | assets_of("millpond.http.documentation")
