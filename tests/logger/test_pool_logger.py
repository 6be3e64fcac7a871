"""What the pool says to `logging`: one line a record, and never on a thread that runs a loop."""

import asyncio
import logging
import threading
import time

import pytest

from millpond.logger.delivery import DELIVERY
from millpond.logger.pool_logger import PoolLogger, emit_record

PATIENCE_S = 60.0
FORGED = "x\n2026-01-01 CRITICAL forged\x1b[2J\u202e"


class Kept(logging.Handler):
    """Keeps records, and the threads they came on."""

    def __init__(self):
        super().__init__()
        self.records, self.threads = [], []

    def emit(self, record):
        self.records.append(record)
        self.threads.append(threading.current_thread())


@pytest.fixture
def kept():
    handler, logger = Kept(), logging.getLogger("millpond.of_a_test")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def log():
    return PoolLogger("millpond.of_a_test")


def test_a_record_is_one_line_whatever_stands_in_it(kept, log):
    """Nobody can make up a line of the log, move the cursor or turn the direction of reading."""
    log.warning("listener %r says %s", "a\nb", FORGED)
    (record,) = kept.records
    line = r"listener 'a\nb' says x\n2026-01-01 CRITICAL forged\u001b[2J\u202e"
    assert (record.getMessage(), record.levelname, record.exc_info) == (line, "WARNING", None)
    assert (record.name, record.funcName) == ("millpond.of_a_test", "test_a_record_is_one_line_whatever_stands_in_it")
    assert record.pathname == __file__


def test_of_an_exception_type_and_place_are_logged_and_not_its_text(kept, log):
    """Its text may hold arguments, settings, or a secret."""
    try:
        raise ValueError("a secret")
    except ValueError as error:
        log.raised(error, "something of %s raised", "mine")
    line = kept.records[0].getMessage()
    name = "test_of_an_exception_type_and_place_are_logged_and_not_its_text"
    assert line.startswith(f"something of mine raised: ValueError in {name} ({__file__}:")
    assert "secret" not in line


async def test_on_a_loop_handlers_are_called_by_another_thread(kept, log):
    """A handler may wait for the very pool whose loop this is."""
    before = time.time()
    log.error("from the loop")
    said = time.time()
    assert await asyncio.to_thread(DELIVERY.settle, PATIENCE_S)
    (record,), (thread,) = kept.records, kept.threads
    assert thread is not threading.current_thread()
    assert before <= record.created <= said
    assert record.msecs == int(record.created % 1 * 1000)


def test_without_a_loop_handlers_are_called_at_once(kept, log):
    """A thread of the program's own waits for its own handlers, as everywhere."""
    log.error("from a thread")
    assert kept.threads == [threading.current_thread()]


def test_a_programs_filter_that_raises_reaches_nobody(log):
    """It is counted, and whoever had something to say goes on."""
    logger, before = logging.getLogger("millpond.of_a_test"), DELIVERY.failed

    def broken(_record):
        raise ValueError

    logger.addFilter(broken)
    try:
        log.error("said")
    finally:
        logger.removeFilter(broken)
    assert DELIVERY.failed == before + 1


def test_the_programs_own_records_are_made(kept):
    """What makes the program's records is asked, and attributes are attached."""
    factory = logging.getLogRecordFactory()

    def with_flavour(*args, **kwargs):
        record = factory(*args, **kwargs)
        record.flavour = "of the program"
        return record

    logging.setLogRecordFactory(with_flavour)
    try:
        assert emit_record(logging.getLogger("millpond.of_a_test"), logging.ERROR, "said", {"worker": 3})
    finally:
        logging.setLogRecordFactory(factory)
    assert (kept.records[0].flavour, kept.records[0].worker) == ("of the program", 3)


def test_what_cannot_be_shown_does_no_harm(kept, log):
    """The `__repr__` of a listener is the program's code."""

    class Unspeakable:
        def __repr__(self):
            raise ValueError

    log.warning("a listener: %r", Unspeakable())
    assert kept.records[0].getMessage() == "a listener: %r"
