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


def differences() -> dict[str, str]:
    """Name of each test that does not apply -> why."""
    with (HERE / "differences.toml").open("rb") as file:
        return {name: row["reason"] for row in tomllib.load(file)["difference"] for name in row["tests"]}


def applies(name: str, listed: dict[str, str]) -> bool:
    """Whether a test is not listed, neither for its start method nor for both."""
    return name not in listed and name.partition(" ")[2] not in listed


def wrong(done: list[Done], listed: dict[str, str]) -> list[str]:
    """What is not as it should be, a paragraph each."""
    found = []
    for name, code, output in done:
        if applies(name, listed) and code not in (PASSED, SKIPPED):
            found.append(f"{name} failed ({code}):\n{output}")
        elif not applies(name, listed) and code == PASSED:
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
    passed = sum(one.code == PASSED and applies(one.name, listed) for one in done)
    print(f"CPython's tests: {passed} passed, {len(found)} failed, {len(done) - passed - len(found)} skipped")
    return 1 if found or not done else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
