"""The language between parent and warden: small fixed records, one a packet, with descriptors or a text beside them.

Only packing and unpacking; who says what when is `keeper` (parent) and `warden`. Nothing here is ever unpickled.
"""

from __future__ import annotations

import struct

# Orders, parent -> warden.
START, SIGNAL, KILL, QUIT = 1, 2, 3, 4
# Reports, warden -> parent.
IMAGE_READY, IMAGE_FAILED, STARTED, START_FAILED, GONE, STOPPED, CONTINUED, NOTE = 32, 33, 34, 35, 36, 37, 38, 39

_RECORD = struct.Struct("<BIi")  # kind, worker id, number: a signal, a pid, or how it ended
TEXT_LIMIT = 96 * 1024  # a packet must fit the socket's buffer (208 KiB by default)
PACKET_LIMIT = TEXT_LIMIT + _RECORD.size

Record = tuple[int, int, int, bytes]


def pack(kind: int, worker_id: int = 0, number: int = 0, text: bytes = b"") -> bytes:
    """A packet; of a text that is too long the end is kept."""
    return _RECORD.pack(kind, worker_id, number) + text[-TEXT_LIMIT:]


def unpack(packet: bytes) -> Record:
    """Kind, worker id, number and text of a packet."""
    kind, worker_id, number = _RECORD.unpack_from(packet)
    return kind, worker_id, number, packet[_RECORD.size :]


def status(exit_code: int | None, signo: int | None) -> int:
    """How a process ended as one number: its exit code, or its signal negated."""
    return -signo if signo is not None else exit_code or 0
