"""The warm image that workers are forked from: the handler's module, what is to be preloaded, the worker program.

Runs in the warden before the first fork and never after. Refuses an image with more than one native thread, because
locks those threads hold stay locked for ever in a forked child.
"""

from __future__ import annotations

import gc
import importlib
import sys
import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any

from millpond.engine import kernel
from millpond.wire.handlerspec import load_handler

if TYPE_CHECKING:
    from millpond.engine.plan import Plan


class Image:
    """What a forked worker starts with: the program to run, and the handler's class (`None`: functions only)."""

    __slots__ = ("facts", "handler", "program")

    def __init__(self, program: ModuleType, handler: type | None, facts: dict[str, Any] | None) -> None:
        self.program = program
        self.handler = handler
        self.facts = facts


class ImageError(Exception):
    """The image cannot be forked from; the message says why and what to do."""


def make_image(plan: Plan) -> Image:
    """Import and preload everything; raises `ImageError`, or what the user's code raises."""
    program = importlib.import_module(plan["program"])
    for name in plan["preload"]:
        importlib.import_module(name)
    handler = load_handler(plan["handler"])
    if handler is not None and hasattr(handler, "preload"):
        handler.preload()
    facts = program.describe(handler) if hasattr(program, "describe") else None
    check_threads()
    settle()
    return Image(program, handler, facts)


def check_threads() -> None:
    """Raise `ImageError` if anything but the main thread lives."""
    names = kernel.threads()
    if len(names) > 1:
        raise ImageError(
            f"after importing the handler and preload() this process has {len(names)} threads "
            f"({', '.join(names[1:])} beside the main one); a process with threads cannot be forked safely. "
            "Start them in setup() instead of at import or in preload(), or use start_method='spawn'"
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
