"""CPython's own tests of its process pool, run against `millpond.Executor`.

They are fetched when this runs: those that the interpreter brings along, else those of Debian's package. Each must
pass, but for those that `differences.toml` lists with the reason why they do not apply; one of these that passes fails
the run as well. Prints what is not as it should be, and closes with the sum.

    python -m tests.cpython.run [part of a test's name]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import test.support

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TESTS = "test_concurrent_futures"
DEBIAN = "libpython3.11-testsuite"
TEST_S = 60  # for one test
JOBS = 2
PASSED, FAILED, SKIPPED = 0, 1, 2  # as `inside.py` ends


class Done(NamedTuple):
    """What became of one test."""

    name: str
    code: int
    output: str


def brought_along() -> Path | None:
    """The tests in the interpreter's own library: a file or, from 3.12 on, a folder."""
    library = Path(test.support.__file__).parents[1]
    return next((path for path in (library / TESTS, library / f"{TESTS}.py") if path.exists()), None)


def fetched(folder: Path) -> Path:
    """The tests from Debian's package, which is unpacked in `folder` and not installed. Exits if it cannot be had."""
    command = ["apt-get", "download", "-q", DEBIAN]
    try:
        got = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        why = f"{got.stdout}{got.stderr}" if got.returncode else ""
    except OSError as error:
        why = str(error)
    if why:
        sys.exit(f"CPython's tests of its process pool cannot be fetched: {' '.join(command)}\n{why}")
    subprocess.run(["dpkg", "-x", *folder.glob("*.deb"), folder], check=True)
    return next(folder.glob(f"usr/lib/python3*/test/{TESTS}.py"))


def lay_out(folder: Path) -> None:
    """A package `test` where workers find it too: the tests, and what they import."""
    support = Path(test.support.__file__).parent
    (folder / "test").mkdir()
    for part in (brought_along() or fetched(folder), support, support.parent / "__init__.py"):
        (folder / "test" / part.name).symlink_to(part)


def inside(folder: Path, *args: str) -> tuple[int, str]:
    """Run `inside.py` in a process group of its own; its exit code (negative if it was killed), and what it printed."""
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONWARNINGS": "default"}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cpython.inside", *args],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(TEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        output.seek(0)
        return code, output.read()


def run(folder: Path, name: str) -> Done:
    """Run one test; with five seconds left it is made to say where it hangs."""
    return Done(name, *inside(folder, name, str(TEST_S - 5)))


def differences() -> dict[str, bool]:
    """Name of each test that does not apply -> whether it may pass all the same."""
    with (HERE / "differences.toml").open("rb") as file:
        rows = tomllib.load(file)["difference"]
    return {name: row.get("may_pass", False) for row in rows for name in row["tests"]}


def may_pass(name: str, listed: dict[str, bool]) -> bool | None:
    """Whether a listed test may pass, by its name or the one without its start method; `None` if it is not listed."""
    return listed.get(name, listed.get(name.partition(" ")[2]))


def wrong(done: list[Done], listed: dict[str, bool]) -> list[str]:
    """What is not as it should be, a paragraph each."""
    found = []
    for name, code, output in done:
        may = may_pass(name, listed)
        if may is None and code not in (PASSED, SKIPPED):
            found.append(f"{name} failed ({code}):\n{output}")
        elif may is False and code == PASSED:
            found.append(f"{name} passed, but differences.toml says that it does not apply")
    return found


def main(wanted: str = "") -> int:
    """Run all tests whose names contain `wanted`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        code, listing = inside(folder)
        if code:
            print(listing)
            return 1
        names = [line for line in listing.splitlines() if wanted in line]
        with ThreadPoolExecutor(JOBS) as threads:
            done = list(threads.map(partial(run, folder), names))
    listed = differences()
    found = wrong(done, listed)
    print(*found, sep="\n\n")
    passed = sum(one.code == PASSED and may_pass(one.name, listed) is not False for one in done)
    print(f"CPython's tests: {passed} passed, {len(found)} failed, {len(done) - passed - len(found)} skipped")
    return 1 if found or not done else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
