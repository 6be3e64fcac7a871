"""Checks of what this process may use: descriptors, processes, memory, cores."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from millpond.cli.doctor.finding import Finding, ok, warning, wrong
from millpond.control_groups import MOUNT, OWN, groups
from millpond.cores import cores

FEW_DESCRIPTORS, MANY_DESCRIPTORS = 256, 4096
PER_WORKER = 10  # descriptors that the program holds for a worker
FEW_PROCESSES = 256
MiB = 1024 * 1024
UNBOUNDED = 2**60  # what version 1 says where there is no limit
_V1 = {"pids.max": "pids.max", "memory.max": "memory.limit_in_bytes"}


def descriptors() -> Iterator[Finding]:
    """RLIMIT_NOFILE: sockets and pipes of workers, and connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f"{_number(soft)} at once (at most {_number(hard)}); a worker takes about {PER_WORKER}"
    remedy = "ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit"
    if soft != resource.RLIM_INFINITY and soft < FEW_DESCRIPTORS:
        yield wrong("open files", told, remedy)
    elif soft != resource.RLIM_INFINITY and soft < MANY_DESCRIPTORS:
        yield warning("open files", f"{told}; thousands of connections need more", remedy)
    else:
        yield ok("open files", told)


def processes() -> Iterator[Finding]:
    """RLIMIT_NPROC and the control group's pids.max: each worker is a process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and soft < FEW_PROCESSES and os.geteuid() != 0:
        yield warning("processes", f"this user may have {soft}", "ulimit -u 4096, or LimitNPROC= in the systemd unit")
    else:
        yield ok("processes", f"this user may have {_number(soft)}")
    for most in _group_values("pids", "pids.max"):
        if most < FEW_PROCESSES:
            text = f"the control group may have {most}"
            yield warning("processes", text, "raise its pids.max (TasksMax= of systemd)")


def memory() -> Iterator[Finding]:
    """RLIMIT_AS and the control group's memory.max."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        text = f"an address space may have {soft // MiB} MiB, and libraries reserve far more than they use"
        yield warning("memory", text, "bound workers by max_memory instead of ulimit -v")
    limits = list(_group_values("memory", "memory.max"))
    if limits:
        yield ok("memory", f"the control group may use {min(limits) // MiB} MiB; the kernel kills beyond that")
    else:
        yield ok("memory", "no control group bounds it")


def processors() -> Iterator[Finding]:
    """The cores that may be used, by affinity and by the control group's quota."""
    count, there = cores(), os.cpu_count() or 1
    text = f"{count} of {there} may be used"
    if count == 1:
        yield warning("cores", text, "pools run on one, but their workers and the program take turns")
    else:
        yield ok("cores", text)


def overcommit() -> Iterator[Finding]:
    """Whether the kernel promises more memory than there is: forks of a large image need it."""
    mode = _read("/proc/sys/vm/overcommit_memory")
    if mode == "2":
        yield warning(
            "overcommit",
            "the kernel promises no more memory than there is: forking a large image may fail",
            "sysctl vm.overcommit_memory=0, or start_method='spawn'",
        )
    else:
        yield ok("overcommit", "forks share the image's memory")


def _group_values(controller: str, name: str) -> Iterator[int]:
    """The limits of the control groups this process is in."""
    for is_v2, folder in groups(controller, (controller,), MOUNT, OWN):
        text = _read(f"{folder}/{name if is_v2 else _V1[name]}")
        if text.isdigit() and int(text) < UNBOUNDED:
            yield int(text)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _number(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else str(limit)


CHECKS = (descriptors, processes, memory, processors, overcommit)
