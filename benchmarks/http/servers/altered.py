"""`millpond serve` with something added to it: a listener to all events, or a stopwatch around the stages of a call.

The stages are written to a file as the server exits: microseconds of processor time for each request.
"""

from __future__ import annotations

import argparse
import atexit
import json
import sys
import time
from pathlib import Path

from benchmarks.http.programs import SERVE
from benchmarks.http.stages import Stopwatch
from millpond import Pool, cli
from millpond.call_factory import CallFactory
from millpond.core.machine import Machine
from millpond.engine.inbox import Inbox
from millpond.engine.link import Link
from millpond.engine.outbox import Outbox
from millpond.http.access.access import Access
from millpond.http.application import Application
from millpond.http.direct import DirectCall
from millpond.http.server.connection import Connection
from millpond.http.server.exchange import Exchange
from millpond.runtime.driver import Driver

# Functions and their stages. A stage has what is inside it and has no stage of its own.
STAGES = (
    (Connection, "data_received", "HTTP parse"),
    (Application, "start_call", "route: path, content type, JSON well formed"),
    (DirectCall, "begin", "route: path, content type, JSON well formed"),
    (Access, "check", "access check: token and Host"),
    (CallFactory, "document_call", "admission: operation, bounds, deadline"),
    (Machine, "submit", "queue: a worker, or a place"),
    (Driver, "carry_out", "send: frames to the workers"),
    (Link, "send", "send: frames to the workers"),
    (Outbox, "flush", "send: frames to the workers"),
    (Inbox, "_read_socket", "answer: frames from the workers"),
    (Machine, "answered", "answer: accounted for, next call"),
    (DirectCall, "set_result", "HTTP write"),
    (Exchange, "respond", "HTTP write"),
)
COUNTED = "admission: operation, bounds, deadline"  # once for each request


def listen() -> None:
    """Attach a listener to every pool that is made."""
    make = Pool.__init__

    def made(self: Pool, *args: object, **kwargs: object) -> None:
        make(self, *args, **kwargs)  # type: ignore[arg-type]
        seen: list[str] = []
        self.telemetry.attach("benchmark", None, lambda event: seen.append(event.name))

    Pool.__init__ = made  # type: ignore[method-assign,assignment]


def watch_stages(told: Path) -> None:
    watch = Stopwatch(time.thread_time)
    watch.calibrate()
    for owner, name, stage in STAGES:
        watch.put_around(owner, name, stage)
    atexit.register(lambda: told.write_text(json.dumps(each(watch))))


def each(watch: Stopwatch) -> dict[str, object]:
    requests = watch.entries[COUNTED]
    return {
        "requests": requests,
        "own_us": watch.own_s() / requests * 1e6,
        "us": {stage: seconds / requests * 1e6 for stage, seconds in watch.net().items()},
        "entries": {stage: entries / requests for stage, entries in watch.entries.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--listener", action="store_true")
    parser.add_argument("--stages", type=Path)
    chosen = parser.parse_args()
    if chosen.listener:
        listen()
    if chosen.stages:
        watch_stages(chosen.stages)
    sys.argv = ["millpond", *(chosen.port if part == "PORT" else part for part in SERVE.command[2:])]
    cli.main()


if __name__ == "__main__":
    main()
