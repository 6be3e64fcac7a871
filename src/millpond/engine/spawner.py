"""How a worker process comes to be: forked from the warm image, or a fresh interpreter.

Everything that must be true before the worker program runs, and nothing it could do itself: session and group of its
own, dies with the warden, adopts its orphans, output in pipes, none of the warden's descriptors.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any

from millpond.engine import guard, kernel
from millpond.engine import warden_protocol as protocol
from millpond.wire.mainmodule import install

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.engine.image import Image

# The descriptors that come with an order to start, in this order; without buffers the last two are missing.
STDOUT, STDERR, DATA, SIDE, STACKS, LOGBOOK, INBOUND, OUTBOUND = range(8)
_NAMES = {
    DATA: "data",
    SIDE: "side",
    STACKS: "stacks",
    LOGBOOK: "logbook",
    INBOUND: "inbound",
    OUTBOUND: "outbound",
}


def fork(image: Image, config: dict[str, Any], fds: list[int], leave_warden: Callable[[], None]) -> int:
    """Fork a worker and return its pid; `leave_warden` frees the child of what is the warden's."""
    warden = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 70  # the child must never return into the warden's loop
    try:
        leave_warden()
        os.setsid()
        _take_output(fds)
        _run(lambda: image.program, config, fds, image.handler, warden)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def spawn(the_plan: protocol.Plan, plan_fd: int, incarnation: int, fds: list[int]) -> int:
    """Start a worker in a fresh interpreter and return its pid."""
    inherited = [plan_fd, *fds[DATA:]]
    for fd in inherited:
        os.set_inheritable(fd, True)
    try:
        return os.posix_spawn(
            sys.executable,
            protocol.command("spawner", _flags(), the_plan["sys_path"], os.getpid(), incarnation, *inherited),
            dict(os.environ) | protocol.threads_environment(the_plan["config"]["threads"]),
            file_actions=[(os.POSIX_SPAWN_DUP2, fds[STDOUT], 1), (os.POSIX_SPAWN_DUP2, fds[STDERR], 2)],
            setsid=True,
            setsigdef=[signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        )
    finally:
        for fd in inherited:
            os.set_inheritable(fd, False)


def main() -> None:
    """The program of a worker that was started by `spawn`."""
    warden, incarnation, plan_fd, *rest = map(int, sys.argv[1:])
    for fd in rest:
        os.set_inheritable(fd, False)
    the_plan = protocol.read(plan_fd)
    os.close(plan_fd)
    config = the_plan["config"] | {"incarnation": incarnation}
    install(config["main"])
    _run(lambda: importlib.import_module(the_plan["program"]), config, [-1, -1, *rest], None, warden)


def _run(program: Callable[[], Any], config: dict[str, Any], fds: list[int], handler: type | None, warden: int) -> None:
    # First the signal is asked for, then the parent is looked at: a warden that died before, in between or after is
    # noticed by one of the two.
    kernel.signal_with_parent(signal.SIGKILL)
    if os.getppid() != warden:
        os._exit(1)
    kernel.adopt_orphans()
    guard.start(warden)
    kernel.set_name(f"millpond-{config['incarnation']}")
    named = {name: fds[place] for place, name in _NAMES.items() if place < len(fds)}
    program().main(config, named, handler, lambda: guard.finish(warden))


def _take_output(fds: list[int]) -> None:
    os.dup2(fds[STDOUT], 1)
    os.dup2(fds[STDERR], 2)
    os.close(fds[STDOUT])
    os.close(fds[STDERR])


def _flags() -> list[str]:
    """The options this interpreter was started with, which the parent's were turned into."""
    return sys.orig_argv[1 : sys.orig_argv.index("-c")]
