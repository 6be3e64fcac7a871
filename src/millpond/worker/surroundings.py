"""What surrounds a handler: directory, environment, priority, limits, cores, threads of libraries, random seeds, names.

Applied once, before the handler's instance is made; what cannot be applied raises and fails the start. Sessions,
process groups and death signals are the affair of whoever started the process.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from millpond.wire.onimport import when_imported
from millpond.wire.sharing import know_key

if TYPE_CHECKING:
    from collections.abc import Mapping

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# Modules that bring OpenMP or BLAS: threadpoolctl (10 ms to import) is asked only if one of them is here already.
THREADED_MODULES = ("numpy", "scipy", "sklearn", "torch")


def settle(config: Mapping[str, Any]) -> None:
    """Apply the surroundings that `config` asks for."""
    _write_by_lines()
    with suppress(OSError, ValueError):  # the handler's image may have closed fd 2
        faulthandler.enable(file=2)
    for name, value in (config.get("worker_env") or {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if config.get("cwd"):
        os.chdir(config["cwd"])
    if config.get("nice"):
        os.nice(config["nice"])
    for name, limit in (config.get("rlimits") or {}).items():
        set_limit(name, limit)
    if config.get("cpu_affinity"):
        os.sched_setaffinity(0, config["cpu_affinity"])
    limit_threads(config.get("threads") or 1, config.get("worker_env") or {})
    reseed()
    # What multiprocessing says of this process, as in a worker of the standard library's pools: told now, or when the
    # handler's code imports it.
    when_imported("multiprocessing.process", partial(_set_process_names, config))
    know_key(config.get("authkey"))


def _write_by_lines() -> None:
    """Both streams are pipes here, which Python would fill by the block."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not if the handler's image put something else there
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def set_limit(name: str, limit: int) -> None:
    """Set one resource limit, soft and hard; `ValueError` for a name the system does not know."""
    known = getattr(resource, f"RLIMIT_{name}", None)
    if known is None:
        names = ", ".join(sorted(n.removeprefix("RLIMIT_") for n in dir(resource) if n.startswith("RLIMIT_")))
        raise ValueError(f"rlimits names {name!r}, which is no limit here; known are {names}")
    resource.setrlimit(known, (limit, limit))


def limit_threads(threads: int, chosen: Mapping[str, str | None]) -> None:
    """Give OpenMP and BLAS so many threads, those loaded and those to come; variables in `chosen` are the user's."""
    for name in THREAD_VARIABLES:
        if name not in chosen:
            os.environ[name] = str(threads)
    if threads == 1 or not any(module in sys.modules for module in THREADED_MODULES):
        return  # what an image loaded, it loaded with one thread
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    with suppress(ImportError):
        import threadpoolctl

        threadpoolctl.threadpool_limits(limits=threads)


def reseed() -> None:
    """Let workers of one image draw different numbers."""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _set_process_names(config: Mapping[str, Any], module: Any) -> None:
    pid, parents_name = config["parent"]
    this, number = module.current_process(), config["incarnation"]
    this._identity = (number,)
    this._name = f"{'Fork' if config.get('forked') else 'Spawn'}Process-{number}"
    this._parent_pid = pid
    if hasattr(os, "pidfd_open"):
        module._parent_process = module._ParentProcess(parents_name, pid, os.pidfd_open(pid))
