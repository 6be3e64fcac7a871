"""Workers' log records on their way to the program's logging."""

import asyncio
import logging
import threading
from types import SimpleNamespace

import pytest

from millpond.logger import delivery
from millpond.logger.delivery import DELIVERY
from millpond.runtime import forwarding
from millpond.runtime.forwarding import Forwarding, settled
from tests.leftovers import Leftovers

PATIENCE_S = 60.0
WORKER = SimpleNamespace(id=3, pid=77)


class Gate(logging.Handler):
    """A handler that hangs until it is let go, and keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.lines, self.begun, self.go_on = [], threading.Event(), threading.Event()

    def emit(self, record):
        self.begun.set()
        self.go_on.wait(PATIENCE_S)
        self.lines.append(record.getMessage())


@pytest.fixture
def gate():
    handler, logger = Gate(), logging.getLogger("handler.of_a_test")
    logger.addHandler(handler)
    yield handler
    handler.go_on.set()
    assert DELIVERY.settle(PATIENCE_S)
    logger.removeHandler(handler)


async def test_a_handler_that_hangs_costs_records_and_no_time(gate, monkeypatch):
    """The loop goes on; what finds no room is counted, and the pool's own records still find some."""
    monkeypatch.setattr(delivery, "MOST_WAITING", 12)
    monkeypatch.setattr(forwarding, "RESERVED", 2)
    one = Forwarding()
    one.take(WORKER, 1, logging.WARNING, "handler.of_a_test", "first")
    assert await asyncio.to_thread(gate.begun.wait, PATIENCE_S)
    for number in range(15):
        one.take(WORKER, 1, logging.WARNING, "handler.of_a_test", f"{number}")
    assert one.dropped == 5
    await settled(0.01)
    assert gate.lines == []
    gate.go_on.set()
    await settled(PATIENCE_S)
    assert gate.lines == ["first", *map(str, range(10))]


async def test_nothing_is_left_once_it_is_settled(gate):
    """Neither a record nor the thread that delivered them."""
    gate.go_on.set()
    before = Leftovers()
    Forwarding().take(WORKER, 1, logging.WARNING, "handler.of_a_test", "last")
    await settled(PATIENCE_S)
    assert (gate.lines, before.threads()) == (["last"], [])


def test_a_workers_record_is_one_line_and_so_is_its_loggers_name(caplog):
    """A worker runs foreign code: it makes up no line of the program's log."""
    Forwarding().take(WORKER, 0, logging.WARNING, "a\nb", "x\nforged\x1b[2J\u202e")
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == (r"a\nb", r"x\nforged\u001b[2J\u202e")
    assert (record.worker, record.worker_pid, record.call) == (3, 77, None)


def test_workers_cannot_make_loggers_without_end(caplog, monkeypatch):
    """A logger is never freed: names beyond the bound share one."""
    monkeypatch.setattr(forwarding, "MOST_LOGGERS", 2)
    one = Forwarding()
    for number in range(4):
        one.take(WORKER, 0, logging.WARNING, f"name.{number}", "said")
    assert [record.name for record in caplog.records] == ["name.0", "name.1", *["millpond.workers"] * 2]
