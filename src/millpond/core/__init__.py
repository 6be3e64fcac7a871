"""Decides who gets what, and when: no I/O, no clock of its own, no threads.

`Machine` is the one entrance, `Machine.view` the one look inside, `orders` what comes out. The other names are the
records that orders and stimuli are about. Nothing outside the core imports a module of it.
"""

from millpond.core.assignment import refusals
from millpond.core.machine import Machine
from millpond.core.records import orders, states
from millpond.core.records import session as session_states
from millpond.core.records import worker as worker_states
from millpond.core.records.call import QUEUED, Call
from millpond.core.records.counters import ROW_BYTES, error_code
from millpond.core.records.ended import EndedCall
from millpond.core.records.gone import GoneWorker
from millpond.core.records.operation import Operation
from millpond.core.records.session import UNKEPT, Session
from millpond.core.records.sizing import SizingRule
from millpond.core.records.states import Table, move
from millpond.core.records.timing import LATE_S
from millpond.core.records.worker import Worker
from millpond.core.view import View
from millpond.core.workers.warmup import Command, Run, Step

__all__ = [
    "LATE_S",
    "QUEUED",
    "ROW_BYTES",
    "UNKEPT",
    "Call",
    "Command",
    "EndedCall",
    "GoneWorker",
    "Machine",
    "Operation",
    "Run",
    "Session",
    "SizingRule",
    "Step",
    "Table",
    "View",
    "Worker",
    "error_code",
    "move",
    "orders",
    "refusals",
    "session_states",
    "states",
    "worker_states",
]
