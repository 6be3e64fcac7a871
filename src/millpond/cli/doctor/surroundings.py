"""Checks of what is around a pool: agents in its process, clocks, disk, versions, start methods."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from millpond import __version__
from millpond.cli.doctor.finding import Finding, ok, warning, wrong

AGENTS = {
    "ddtrace": "DD_TRACE_ENABLED=false for the workers, or start_method='spawn'",
    "newrelic": "keep it out of the workers, or start_method='spawn'",
    "elasticapm": "start it in setup(), or start_method='spawn'",
    "opentelemetry.instrumentation.auto_instrumentation": "start_method='spawn', or instrument in setup()",
}
PRELOADED = ("LD_PRELOAD", "PYTHONSTARTUP", "PYTHONINSPECT")
PACKAGES = ("msgspec", "numpy", "psutil", "cloudpickle", "uvicorn", "starlette", "uvloop", "httptools", "h11", "rich")
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
LOW_BYTES = 256 * 1024 * 1024
SKEW_S = 0.5
START_S = 20.0
MiB = 1024 * 1024


def versions() -> Iterator[Finding]:
    """Python and the libraries."""
    told = f"millpond {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    if sys.platform != "linux":
        yield warning("versions", told, "Linux is what Millpond is made for; elsewhere use start_method='spawn'")
    else:
        yield ok("versions", told)
    found = {name: _version(name) for name in PACKAGES}
    there = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    missing = [name for name, version in found.items() if not version]
    yield ok("libraries", there + (f"; not installed: {', '.join(missing)}" if missing else ""))


def agents() -> Iterator[Finding]:
    """What puts itself into every Python process: its threads make forking unsafe."""
    for name, remedy in AGENTS.items():
        if name in sys.modules:
            yield warning(
                "agents", f"{name} is in this process; its threads may be there when workers are forked", remedy
            )
    threads = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
    if threads:
        text = f"threads run that this command did not start: {', '.join(threads)}"
        yield warning(
            "agents", text, "find out who starts them at import (sitecustomize, a .pth file), or spawn workers"
        )
    for name in PRELOADED:
        if os.environ.get(name):
            yield warning(
                "agents", f"{name} is set: {os.environ[name]}", f"unset {name}, unless it is meant for workers"
            )
    if not threads and not sys.modules.keys() & AGENTS.keys():
        yield ok("agents", "none is in this process")


def clocks() -> Iterator[Finding]:
    """Whether time runs evenly, and whether the wall clock is kept."""
    before = time.monotonic(), time.time()
    time.sleep(0.05)
    drift = abs((time.time() - before[1]) - (time.monotonic() - before[0]))
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    if drift > SKEW_S:
        yield warning(
            "clocks", f"the wall clock moved by {drift:.1f} s", "have one service keep it (chrony, timesyncd)"
        )
    else:
        yield ok("clocks", f"even; the machine was suspended for {max(0.0, slept):.0f} s since it started")


def disk() -> Iterator[Finding]:
    """The state folder, and where memory is shared and temporary files go."""
    from millpond.token_file import StateError, known_token, state_folder

    try:
        known_token({name: value for name, value in os.environ.items() if not name.startswith("MILLPOND_TOKEN")})
        yield ok("state folder", state_folder())
    except StateError as error:
        yield wrong(
            "state folder", str(error), "see docs/security.md, or delete the folder: the next start makes it anew"
        )
    for place in ("/dev/shm", tempfile.gettempdir(), os.getcwd()):
        yield _place(place)


def _place(place: str) -> Finding:
    if not os.access(place, os.W_OK):
        return warning("disk", f"{place} cannot be written", f"give this user write access to {place}")
    free = shutil.disk_usage(place).free
    kind = _file_system(place)
    text = f"{place}: {free // MiB} MiB free, {kind or 'unknown file system'}"
    if free < LOW_BYTES:
        return warning("disk", text, "make room: payloads, stores and history need it")
    if kind in NETWORK_FILE_SYSTEMS:
        return warning(
            "disk", text, "keep session stores and history elsewhere: SQLite's WAL needs a local file system"
        )
    return ok("disk", text)


def _file_system(place: str) -> str:
    """The kind of the file system a place is on."""
    found = "", ""
    path = os.path.realpath(place)
    for line in _lines("/proc/self/mounts"):
        _, mount, kind, *_ = line.split(" ")
        if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(found[0]):
            found = mount, kind
    return found[1]


def cores_dumped() -> Iterator[Finding]:
    """Where the kernel writes a core of a worker that crashes: large models make large files."""
    pattern = "".join(_lines("/proc/sys/kernel/core_pattern")).strip()
    yield ok("core dumps", f"a crash writes to {pattern!r}" if pattern else "unknown")


def start_methods() -> Iterator[Finding]:
    """Whether a pool starts here and answers, in both ways."""
    for method in ("fork", "spawn"):
        began = time.monotonic()
        try:
            asyncio.run(asyncio.wait_for(_try_pool(method), START_S))
            yield ok(f"workers by {method}", f"a pool answered after {time.monotonic() - began:.2f} s")
        except Exception as error:
            remedy = "the other way may work: start_method=; the text above says what the worker wrote"
            yield wrong(f"workers by {method}", f"{type(error).__name__}: {error}", remedy)


async def _try_pool(method: str) -> None:
    from millpond import Pool

    async with Pool(None, start_method=method, min_workers=1, max_workers=1, metrics=False, optimizer=False) as pool:
        if await pool.run(sum, [1, 2]) != 3:
            raise RuntimeError("a worker gave a wrong answer")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


CHECKS = (versions, agents, clocks, disk, cores_dumped, start_methods)
