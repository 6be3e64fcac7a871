"""The program of a worker: from a configuration and some file descriptors to a handler that serves, and out again.

Called in a freshly forked or executed process whose session, standard streams and death signal are seen to already.
Never returns. `describe` tells whoever holds the image what the handler offers.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import traceback
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from millpond.logger.escaping import brief_of
from millpond.wire.buffers import Arena, SlotReader, SlotWriter
from millpond.wire.codec import make_codec
from millpond.wire.exceptions import told_of
from millpond.wire.frames import READY, START_FAILED, WARMING, pack
from millpond.wire.handlerspec import load_arguments, load_handler
from millpond.wire.logbook import Logbook
from millpond.worker import attaching, emitting
from millpond.worker import handler as handlers
from millpond.worker.channel import Disconnected, FrameChannel
from millpond.worker.control_thread import ControlThread
from millpond.worker.finalizers import forget_inherited, run_finalizers
from millpond.worker.interrupts import Interrupts
from millpond.worker.log_records import forward_logging
from millpond.worker.loop import BlockingLoop
from millpond.worker.orphans import Orphans
from millpond.worker.replies import Replies, without_our_frames
from millpond.worker.runner import Runner
from millpond.worker.saving import Saver
from millpond.worker.surroundings import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from millpond.seams import HandlerFacts
    from millpond.worker.parallel import ParallelLoop

_found: tuple[type | None, HandlerFacts] | None = None  # the facts of the class that was looked at last
FRAME_ROOM_BYTES = 1024 * 1024  # what a frame may have beyond `max_payload`
GOODBYE, NO_START, ORPHANED, BROKEN = 0, 1, 1, 70  # exit codes


def main(
    config: Mapping[str, Any],
    fds: Mapping[str, int],
    image: type | None = None,
    orphaned: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Be a worker until the parent says goodbye (exit code 0) or closes the socket (1), or the start fails (1).

    `fds` are `data`, `side`, `stacks`, `logbook` and, with buffers, `inbound` and `outbound`; `image` is the class if
    it was loaded before the fork; `orphaned` is called last where the parent went without a word. Leaves by `os._exit`,
    so that no thread of the handler's can hold the process.
    """
    code, pid = BROKEN, os.getpid()
    last: Callable[[], None] | None = None
    try:
        if config.get("forked"):
            forget_inherited()
        attaching.install()
        worker = Worker(config, fds)
        # The order: a child that the handler forks while it is imported must not hold the socket; what it starts is
        # noted before it starts anything; the sign of life goes on while it is imported, which may take long. A frame
        # that another thread was writing at a fork is the parent's to finish: the child's copy of the socket is closed,
        # and its copy of the lock is of no use to anybody.
        os.register_at_fork(after_in_child=worker.channel.disown)
        orphans = Orphans()
        orphans.note_starts()
        worker.control.install()  # before any other thread is made
        worker.control.start((orphans.reap, worker.give_back))
        forward_logging(worker.channel, config["incarnation"], config.get("log_level"))
        emitting.install(worker.channel, config["incarnation"], config["emit_rate"])
        code = worker.live(image)
    except Disconnected:
        code, last = ORPHANED, orphaned
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code, os.getpid() != pid, last)


def facts_of(handler: type | None) -> HandlerFacts:
    """The handler's facts; what was found in the image is known to all that are forked from it."""
    global _found
    if _found is None or _found[0] is not handler:
        _found = handler, handlers.facts_of(handler)
    return _found[1]


def describe(handler: type | None) -> Any:
    """The handler's facts as they stand in the READY frame.

    Imports what its workers will need, so that those forked from here share it.
    """
    facts = facts_of(handler)
    if handlers.is_async(handler, facts):
        import millpond.worker.parallel  # noqa: F401
    return msgspec.to_builtins(facts)


class Worker:
    """What one worker holds: its end of the socket, its logbook, its memory, and the life it leads with them."""

    def __init__(self, config: Mapping[str, Any], fds: Mapping[str, int]) -> None:
        self._config = config
        self.logbook = Logbook(fds["logbook"])
        self.logbook.close_fd()
        limit, incarnation = config["max_payload"] + FRAME_ROOM_BYTES, config["incarnation"]
        self.channel = FrameChannel(socket.socket(fileno=fds["data"]), limit, incarnation)
        self.control = ControlThread(self.logbook, socket.socket(fileno=fds["side"]), incarnation, fds["stacks"])
        self.interrupts = Interrupts(self.logbook)
        threshold = config["buffer_threshold"]
        self._codec = make_codec(config["codec"], threshold)
        inbound, outbound = (_arena(fds.get(name), config["buffer_bytes"]) for name in ("inbound", "outbound"))
        self._reader = SlotReader(inbound) if inbound is not None else None
        self._writer = SlotWriter(outbound) if outbound is not None else None
        self._answers = Replies(self.channel, self._codec, incarnation, config["max_payload"], self._writer, threshold)

    def give_back(self) -> None:
        """Give back shared memory that a burst of large results left."""
        if self._writer is not None:
            self._writer.give_back(monotonic())

    def live(self, image: type | None) -> int:
        """Start, serve, say goodbye; the exit code. What fails the start is told to the parent."""
        try:
            settle(self._config)
            handler = image if image is not None else load_handler(self._config["handler"])
            loop, runner, facts = self.make(handler)
            self.interrupts.install()  # after what the handler's import and `setup` may have set, and before any call
            self._notify(WARMING, {"pid": os.getpid()})
            _run_hook(loop, runner, "warmup")
            self._notify(READY, {**msgspec.to_builtins(facts), "pid": os.getpid()})
        except BaseException as error:
            failure = without_our_frames(error)
            self._notify(START_FAILED, told_of(failure) | {"brief": brief_of(failure)})  # what may be logged of it
            return NO_START
        self.control.runner = runner
        loop.serve(runner)
        self._say_goodbye(loop, runner)
        return GOODBYE

    def make(self, handler: type | None) -> tuple[BlockingLoop | ParallelLoop, Runner, HandlerFacts]:
        """The handler's instance, set up, in the runner of its calls, and the loop that fits it."""
        facts = facts_of(handler)
        loop = self._loop_for(handlers.is_async(handler, facts))
        args, kwargs = load_arguments(self._config["arguments"])
        instance = handler(*args, **kwargs) if handler is not None else None
        operations = handlers.operations_of(instance, facts)
        hooks = {name: getattr(instance, name) for name in facts.hooks}
        saver = Saver(self._codec, self._config["max_payload"], hooks) if self._config.get("saves") else None
        runner = Runner(self.channel, self.logbook, self._codec, self._reader, self._answers, operations, hooks, saver)
        _run_hook(loop, runner, "setup")
        return loop, runner, facts

    def _loop_for(self, is_async: bool) -> BlockingLoop | ParallelLoop:
        window, concurrency = self._config["stream_window"], self._config["concurrency"]
        if not is_async and concurrency == 1:
            return BlockingLoop(self.channel, self.interrupts, window, self._config["busy_poll"])
        from millpond.worker.parallel import ParallelLoop

        return ParallelLoop(self.channel, self.interrupts, window, concurrency)

    def _say_goodbye(self, loop: BlockingLoop | ParallelLoop, runner: Runner) -> None:
        """A teardown that fails is told, and changes nothing: every call was answered."""
        try:
            _run_hook(loop, runner, "teardown")
        except BaseException as error:
            logging.getLogger(__name__).error("teardown failed", exc_info=error)

    def _notify(self, kind: int, message: dict[str, Any]) -> None:
        body = msgspec.msgpack.encode(message)
        header = pack(len(body), kind, 0, 0, 0, 0, self._config["incarnation"], 0, 0, 0.0, 0.0)
        self.channel.send(header + body)


def _arena(fd: int | None, nbytes: int) -> Arena | None:
    if fd is None or not nbytes:
        return None
    arena = Arena(fd, nbytes)
    arena.close_fd()  # the mapping stays; the handler's children need no descriptor of it
    return arena


def _run_hook(loop: BlockingLoop | ParallelLoop, runner: Runner, name: str) -> None:
    if name in runner.hooks:
        loop.run_hook(runner.hooks[name])


def _leave(code: int, is_forked_child: bool, last: Callable[[], None] | None) -> NoReturn:
    with suppress(BaseException):  # closed, replaced, or full: there is nobody left to tell
        if not is_forked_child:
            run_finalizers(code)
        sys.stdout.flush()
        sys.stderr.flush()
    try:
        if last is not None and not is_forked_child:
            last()
    finally:
        os._exit(code)
