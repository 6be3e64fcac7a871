"""The files that pages load: sent compressed where that is accepted, each form with a tag of its own."""

from __future__ import annotations

import httpx
import pytest

import millpond.http
from millpond.http.assets import PACKAGES, assets, assets_of


async def fetch(path: str, **headers: str) -> httpx.Response:
    """One file, asked for with these headers."""
    transport = httpx.ASGITransport(millpond.http.app({}, auth=None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, br", "gzip"), ("br, identity", None)])
async def test_a_file_is_compressed_only_where_that_is_accepted(accepted, encoding):
    """And caches are told that the answer depends on it."""
    answer = await fetch("/assets/login.js", accept_encoding=accepted)
    asset = assets()["login.js"]
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(asset.gzipped if encoding else asset.body)
    assert answer.content == asset.body


async def test_each_form_of_a_file_has_its_own_tag():
    """The tag of one is not taken for the other's."""
    tags = {form: (await fetch("/assets/login.js", accept_encoding=form)).headers["etag"] for form in ("gzip", "br")}
    for form, other in (("gzip", "br"), ("br", "gzip")):
        same = await fetch("/assets/login.js", accept_encoding=form, if_none_match=tags[form])
        assert (same.status_code, same.content) == (304, b"")
        assert (await fetch("/assets/login.js", accept_encoding=form, if_none_match=tags[other])).status_code == 200


async def test_no_file_is_made_longer_by_compressing():
    """A small one is sent as it is."""
    assert all(len(one.gzipped) < len(one.body) for one in assets().values() if one.gzipped)
    assert "content-encoding" not in (await fetch("/assets/icon.svg", accept_encoding="gzip")).headers


def test_the_folders_share_no_name():
    """A page's file never hides another's."""
    assert sum(len(assets_of(package)) for package in PACKAGES) == len(assets())
