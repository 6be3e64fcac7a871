"""The warm image that workers are forked from: the handler's module, what is to be preloaded, the worker program.

Runs in the warden before the first fork and never after. Refuses an image in which the handler or its preload started
native threads, because locks those threads hold stay locked for ever in a forked child; with open sockets, which all
would share; or with a GPU context, which no fork survives. What was there before, such as a tracing agent that Python
starts with every interpreter, the handler cannot help: threads are noted, and forked with.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from millpond.engine import kernel
from millpond.wire.handlerspec import load_handler
from millpond.wire.mainmodule import install
from millpond.wire.sharing import know_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.engine.warden_protocol import Plan


# What the drivers of NVIDIA and AMD hold open while a process has a context; the libraries alone open neither.
GPU_DEVICES = ("/dev/nvidia", "/dev/kfd")
ENDING_S, LOOK_S = 0.5, 0.002  # a thread that ended may be listed so long; between two looks


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Image:
    """What a forked worker starts with: the program to run, and the handler's class (`None`: functions only).

    `note` is reported to the parent.
    """

    program: ModuleType
    handler: type | None
    facts: dict[str, Any] | None
    note: str


class ImageError(Exception):
    """The image cannot be forked from; the message says why and what to do."""


def make_image(plan: Plan) -> Image:
    """Import and preload everything; raises `ImageError`, or what the user's code raises."""
    before, threads = kernel.descriptors(), kernel.other_threads()
    install(plan["config"]["main"])
    program = importlib.import_module(plan["program"])
    know_key(plan["config"]["authkey"])
    for name in plan["preload"]:
        importlib.import_module(name)
    handler = load_handler(plan["handler"])
    if handler is not None and hasattr(handler, "preload"):
        check_preload(handler)
        handler.preload()
    facts = program.describe(handler) if hasattr(program, "describe") else None
    check_threads(threads)
    check_descriptors(before, kernel.descriptors())
    settle()
    return Image(program, handler, facts, tolerate(threads))


def check_preload(handler: type) -> None:
    """Raise `ImageError` for a `preload` that needs what is not there yet: an instance, or a loop."""
    called, written = handler.__name__ + ".preload()", inspect.getattr_static(handler, "preload")
    if inspect.isfunction(written) and inspect.signature(written).parameters:
        raise ImageError(
            f"{called} is no class method; it runs once, before there is an instance. Write @classmethod above it"
        )
    if inspect.iscoroutinefunction(handler.preload):  # type: ignore[attr-defined]
        raise ImageError(
            f"{called} is asynchronous, and no loop runs before the fork; write it as a plain class method, "
            "and await in setup()"
        )


def check_threads(before: Mapping[int, str]) -> None:
    """Raise `ImageError` for threads that were started since. One that ended is listed by the system a bit longer."""
    until = time.monotonic() + ENDING_S
    while (started := kernel.other_threads().keys() - before.keys()) and time.monotonic() < until:
        time.sleep(LOOK_S)
    names = [name for tid, name in kernel.other_threads().items() if tid in started]
    if names:
        raise ImageError(
            f"importing the handler and preload() left threads running ({', '.join(names)}) beside the main one; "
            "a process with threads cannot be forked safely. Start them in setup() instead of at import or in "
            "preload(), or use start_method='spawn'"
        )


def tolerate(threads: Mapping[int, str]) -> str:
    """Fork beside threads that nobody here started; the note about them, empty if there are none."""
    if not threads:
        return ""
    warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)  # the note says it
    return (
        "workers are forked beside threads that were there before the handler was imported "
        f"({', '.join(threads.values())}): a lock that one of them holds at that moment stays locked in the worker; "
        "if workers hang, use start_method='spawn'"
    )


def check_descriptors(before: Mapping[int, str], now: Mapping[int, str]) -> None:
    """Raise `ImageError` for sockets and GPU contexts that were opened meanwhile; both are descriptors and their names.

    A context cannot be asked for without making one, but its driver keeps its devices open.
    """
    opened = {fd: target for fd, target in now.items() if before.get(fd) != target}
    sockets = [fd for fd, target in opened.items() if target.startswith("socket:")]
    if sockets:
        raise ImageError(
            f"importing the handler and preload() left {len(sockets)} sockets open (descriptors "
            f"{', '.join(map(str, sockets))}); every worker would share them and read each other's answers. "
            "Connect in setup() or __init__ instead, close them before preload() returns, or use start_method='spawn'"
        )
    devices = sorted({target for target in opened.values() if target.startswith(GPU_DEVICES)})
    if devices:
        raise ImageError(
            f"importing the handler and preload() made a GPU context ({', '.join(devices)} are open); it does not "
            "survive a fork. Load to the CPU in preload() and move to the GPU in setup() or __init__, or use "
            "start_method='spawn'"
        )


def settle() -> None:
    """Leave nothing half-written for the children to repeat, and no garbage collection to unshare the pages."""
    sys.stdout.flush()
    sys.stderr.flush()
    kernel.flush_c_streams()
    gc.collect()
    gc.freeze()


def explain(error: BaseException) -> str:
    """Why there is no image: a sentence of ours, or the user's own traceback."""
    if isinstance(error, ImageError):
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()
