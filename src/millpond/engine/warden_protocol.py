"""What parent and warden tell each other: the plan once, then orders and reports as packets on a socket.

The plan says where code is found, which handler, and what each worker is to be like. The parent writes it to a memfd;
the warden reads it, and so does each worker that is started by exec. An order or a report is a small fixed record, with
descriptors or a text beside it; nothing of those is ever unpickled. Who sends what when: `warden_process` (parent) and
`warden`.
"""

from __future__ import annotations

import logging
import os
import pickle
import struct
import sys
from typing import TYPE_CHECKING, Any, TypedDict

from millpond.engine import kernel
from millpond.environment import made_of
from millpond.errors import StartFailed
from millpond.wire.descriptors import Lease
from millpond.wire.handlerspec import HandlerSpec, encode_arguments, encode_handler
from millpond.wire.mainmodule import main_facts
from millpond.wire.shared_memory import create_memory
from millpond.wire.sharing import Leased, authentication_key

if TYPE_CHECKING:
    from millpond.seams import EngineSpec

# Orders, parent -> warden.
START, SIGNAL, QUIT = 1, 2, 3
# Reports, warden -> parent.
IMAGE_READY, IMAGE_FAILED, STARTED, START_FAILED, GONE, STOPPED, CONTINUED, NOTE = 32, 33, 34, 35, 36, 37, 38, 39

_RECORD = struct.Struct("<BIi")  # kind, worker id, number: a signal, a pid, or how it ended
TEXT_LIMIT = 96 * 1024  # a packet must fit the socket's buffer (208 KiB by default)
PACKET_LIMIT = TEXT_LIMIT + _RECORD.size

Record = tuple[int, int, int, bytes]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_SAME = (
    "codec",
    "max_payload",
    "concurrency",
    "buffer_threshold",
    "buffer_bytes",
    "stream_window",
    "busy_poll",
    "threads",
    "emit_rate",
)
_LAUNCH = "import sys; sys.path[:] = {}; from millpond.engine.{} import main; main()"


class Plan(TypedDict):
    """`config` is what the worker program is given, with `incarnation` added."""

    parent: int
    sys_path: list[str]
    start_method: str
    program: str
    preload: list[str]
    handler: HandlerSpec
    config: dict[str, Any]


def pack(kind: int, worker_id: int = 0, number: int = 0, text: bytes = b"") -> bytes:
    """A packet; of a text that is too long the end is kept."""
    return _RECORD.pack(kind, worker_id, number) + text[-TEXT_LIMIT:]


def unpack(packet: bytes) -> Record:
    """Kind, worker id, number and text of a packet."""
    kind, worker_id, number = _RECORD.unpack_from(packet)
    return kind, worker_id, number, packet[_RECORD.size :]


def make_plan(spec: EngineSpec, program: str) -> Plan:
    """The plan of a pool; raises what pickling the handler or its arguments raises."""
    handler, arguments = encode_handler(spec.handler), encode_arguments(spec.args, spec.kwargs)
    is_of_main = b"__main__" in arguments or (handler is not None and "pickle" in handler)
    entries = spec.definitions.look() if is_of_main and spec.definitions is not None else {}
    config = {"handler": handler, "arguments": arguments, "main": main_facts(entries)}
    return {
        "parent": os.getpid(),
        "sys_path": [os.path.abspath(entry) for entry in sys.path],
        "start_method": spec.settings.start_method,
        "program": program,
        "preload": list(spec.settings.preload),
        "handler": handler,
        "config": _config(spec) | config,
    }


def _config(spec: EngineSpec) -> dict[str, Any]:
    settings = spec.settings
    return {name: getattr(settings, name) for name in _SAME} | {
        "authkey": authentication_key(),
        "parent": (os.getpid(), process_name()),
        "saves": settings.durability != "none",  # whether each answer of a session brings its state along
        "forked": settings.start_method == "fork",
        "worker_env": dict(settings.worker_env),
        "cwd": settings.cwd,
        "nice": settings.nice,
        "rlimits": dict(settings.rlimits),
        "cpu_affinity": None if settings.cpu_affinity is None else list(settings.cpu_affinity),
        "log_level": logging.getLogger().level,  # what the parent would drop is not formatted in the workers
    }


def leases(plan: Plan) -> list[Lease]:
    """What holds the descriptors that the plan refers to: to be kept as long as processes are started from it."""
    streams = [(plan["handler"] or {}).get("pickle"), plan["config"]["arguments"]]
    return [stream.lease for stream in streams if isinstance(stream, Leased)]


def check_not_run_again() -> None:
    """Raise `StartFailed` while multiprocessing runs the program's script in a child, which would have one in turn."""
    module = sys.modules.get("multiprocessing.process")
    if module is not None and getattr(module.current_process(), "_inheriting", False):
        raise StartFailed(
            "this script is run again, by a process that multiprocessing has spawned to find its functions; "
            "put what only the program is to do under: if __name__ == '__main__'"
        )


def process_name() -> str:
    """What `multiprocessing` calls this process."""
    module = sys.modules.get("multiprocessing.process")
    return "MainProcess" if module is None else str(module.current_process().name)


def write(plan: Plan) -> int:
    """A descriptor of nameless memory that holds the plan."""
    stream = pickle.dumps(plan, 5)
    fd = create_memory("plan", len(stream))
    with open(fd, "wb", closefd=False) as file:
        file.write(stream)
    return fd


def read(fd: int) -> Plan:
    """The plan in a memfd. Several processes read the same one: the offset they share is left alone."""
    size, done, chunks = os.fstat(fd).st_size, 0, []
    while done < size:
        chunks.append(os.pread(fd, size - done, done))
        done += len(chunks[-1])
    plan: Plan = pickle.loads(b"".join(chunks))
    return plan


def environment(spec: EngineSpec) -> dict[str, str]:
    """The warden's: what workers are to have (modules look at it at import), one thread, the run id.

    One thread, because a library that made its threads before the fork hangs in the child.
    """
    made = made_of(os.environ, spec.settings.worker_env, spec.settings.inherit_env)
    return {**made, **threads_environment(1), kernel.RUN_ID: spec.run_id}


def threads_environment(count: int) -> dict[str, str]:
    """The variables that tell OpenMP and BLAS how many threads to make."""
    return dict.fromkeys(_THREADS, str(count))


def command(module: str, flags: list[str], path: list[str], *arguments: int) -> list[str]:
    """The command line of a fresh interpreter that finds code where the parent does and runs `engine.<module>`."""
    return [sys.executable, *flags, "-c", _LAUNCH.format(ascii(path), module), *map(str, arguments)]
