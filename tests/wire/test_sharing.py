"""What multiprocessing shares: it arrives as the same thing, in arguments, results and functions, or is refused."""

from __future__ import annotations

import copyreg
import ctypes
import functools
import gc
import multiprocessing
import multiprocessing.connection
import multiprocessing.managers
import multiprocessing.reduction
import multiprocessing.sharedctypes
import os
import pickle
import socket
import subprocess
import sys
from typing import Any

import pytest

from millpond.wire import sharing
from millpond.wire.codec import CodecError, Encoded, PickleCodec
from millpond.wire.functions import decode_function, encode_function
from millpond.wire.handlerspec import encode_arguments, load_arguments
from millpond.wire.imports import needs_import
from millpond.wire.mainglobals import mark_of
from millpond.wire.segments import pack, unpack
from tests.leftovers import Leftovers

SPAWN = multiprocessing.get_context("spawn")
FORK = multiprocessing.get_context("fork")


def carry(value: Any) -> Any:
    """The value as it arrives as an argument."""
    codec = PickleCodec()
    encoded = codec.encode_arguments((value,), {})
    if isinstance(encoded, Encoded):
        args, _ = codec.decode(*unpack(b"".join(pack(encoded, None, 2**16)), None))
    else:
        args, _ = codec.decode_arguments(encoded)
    return args[0]


def test_a_connection_arrives_as_the_same_pipe_end():
    """Not as the number of a descriptor, behind which something else lies in another process."""
    ours, theirs = SPAWN.Pipe()
    arrived = carry({"end": [theirs]})["end"][0]
    theirs.close()
    assert arrived.fileno() != theirs
    arrived.send("hello")
    assert ours.recv() == "hello"
    arrived.close()
    with pytest.raises(EOFError):  # nothing on the way holds it open
        ours.recv()
    ours.close()


def test_a_socket_arrives_open():
    """With its family, kind and protocol."""
    ours, theirs = socket.socketpair()
    with ours, theirs, carry((theirs,))[0] as arrived:
        assert (arrived.family, arrived.type) == (theirs.family, theirs.type)
        arrived.sendall(b"hello")
        assert ours.recv(9) == b"hello"


def check_lock(one: Any, other: Any) -> None:
    """A lock that is held here is held there."""
    with one:
        assert not other.acquire(block=False)
    assert other.acquire(block=False)
    other.release()


def check_event(one: Any, other: Any) -> None:
    other.set()
    assert one.is_set()


def check_semaphore(one: Any, other: Any) -> None:
    other.acquire()
    assert one.get_value() == 1


def check_condition(one: Any, other: Any) -> None:
    with one:
        assert not other.acquire(block=False)


def check_queue(one: Any, other: Any) -> None:
    other.put("hello")
    assert one.get() == "hello"
    if hasattr(other, "join_thread"):
        other.close()
        other.join_thread()
        one.close()


def check_value(one: Any, other: Any) -> None:
    with other.get_lock():
        other.value = 7
    assert one.value == 7


def check_array(one: Any, other: Any) -> None:
    other[1] = 7
    assert list(one) == [1, 7, 3]


def check_raw(one: Any, other: Any) -> None:
    other.value = 7
    assert one.value == 7


def check_barrier(one: Any, other: Any) -> None:
    assert other.wait(5) == 0
    assert one.parties == other.parties == 1


KINDS: list[tuple[Any, Any]] = [
    (SPAWN.Lock, check_lock),
    (SPAWN.Event, check_event),
    (functools.partial(SPAWN.Semaphore, 2), check_semaphore),
    (functools.partial(SPAWN.BoundedSemaphore, 2), check_semaphore),
    (functools.partial(SPAWN.Condition, SPAWN.Lock()), check_condition),
    (SPAWN.Queue, check_queue),
    (SPAWN.JoinableQueue, check_queue),
    (SPAWN.SimpleQueue, check_queue),
    (functools.partial(SPAWN.Value, "i", 3), check_value),
    (functools.partial(SPAWN.Array, "i", [1, 2, 3]), check_array),
    (functools.partial(SPAWN.RawArray, "i", [1, 2, 3]), check_array),
    (functools.partial(SPAWN.RawValue, "d", 0.5), check_raw),
    (functools.partial(SPAWN.Barrier, 1), check_barrier),
    (functools.partial(FORK.RawArray, "i", [1, 2, 3]), check_array),  # memory needs no name
]


@pytest.mark.parametrize(("make", "check"), KINDS, ids=lambda given: getattr(given, "__name__", ""))
def test_what_is_shared_stays_shared(make, check):
    """Both ends see what the other does; what arrived lets go of its descriptors."""
    one = make()
    check(one, carry([one])[0])
    before = Leftovers()
    carry([one])
    before.wait_gone()  # the thread that gave the descriptors out ends a moment after it gave the last


NAMELESS: list[Any] = [
    FORK.Lock,
    FORK.RLock,
    FORK.Semaphore,
    FORK.Condition,
    FORK.Event,
    FORK.Queue,
    FORK.SimpleQueue,
    functools.partial(FORK.Value, "i"),
    functools.partial(FORK.Barrier, 1),
]


@pytest.mark.parametrize("make", NAMELESS, ids=lambda given: getattr(given, "__name__", ""))
def test_locks_of_the_fork_context_are_refused_and_the_message_names_the_other(make):
    """Their state is an address in this process's memory, behind which the worker has something else."""
    with pytest.raises(CodecError, match=r'multiprocessing\.get_context\("spawn"\)'):
        carry({"held": make()})


def test_memory_of_ctypes_that_nobody_shares_is_copied():
    """Though multiprocessing registers its reducer for the type as soon as one value of it is shared."""
    SPAWN.RawValue("i")
    mine = ctypes.c_int(4)
    arrived = carry(mine)
    arrived.value = 5
    assert mine.value == 4


def test_a_manager_s_key_does_not_travel_with_its_proxies():
    """It is in the worker already; a state that is kept on a disk shall not hold it."""
    proxy = object.__new__(multiprocessing.managers.NamespaceProxy)
    proxy.__dict__.update(_token=("n", "nowhere", "1"), _serializer="pickle", _authkey=b"the secret key")
    encoded = PickleCodec().encode_arguments((proxy, SPAWN.RawArray("i", 1), lambda: 1), {})
    assert isinstance(encoded, Encoded)
    assert b"secret" not in bytes(encoded.stream)
    with pytest.raises(CodecError):
        carry(multiprocessing.current_process().authkey)


def test_reducers_that_come_later_are_used():
    """An idle pickler has the tables of the time it was made; copyreg's may also be replaced."""

    class Kind:
        pass

    codec = PickleCodec()
    codec.encode_arguments(([1],), {})
    for number in (1, 2):
        copyreg.pickle(Kind, lambda value, number=number: (int, (number,)))
        sharing.table()  # which others ask for, too
        assert codec.decode_arguments(codec.encode_arguments(([Kind()],), {}))[0] == ([number],)
    del copyreg.dispatch_table[Kind]


class Holder:
    """Something with a method, and a pipe's end."""

    def __init__(self, end: Any) -> None:
        self.end = end

    def say(self, what: str) -> None:
        self.end.send(what)


def test_a_function_brings_its_pipe_end_along():
    """A bound method's object, a partial's argument or a closure's variable may hold one."""
    ours, theirs = SPAWN.Pipe()
    for function in (Holder(theirs).say, functools.partial(Holder.say, Holder(theirs)), lambda what: theirs.send(what)):
        blob = encode_function(function)
        codec = PickleCodec()
        encoded = codec.encode_arguments((blob, "hello"), {})
        del blob
        assert isinstance(encoded, Encoded)
        args, _ = codec.decode(encoded.stream, encoded.buffers)
        decode_function(args[0])(args[1])
        assert ours.recv() == "hello"


def test_initial_arguments_are_read_by_every_worker():
    """Each fetches the descriptors anew, as long as the blob is kept."""
    ours, theirs = SPAWN.Pipe()
    blob = encode_arguments((theirs,), {"lock": SPAWN.Lock()})
    for number in range(3):
        (end,), _ = load_arguments(blob)
        end.send(number)
        assert ours.recv() == number


def test_a_result_with_a_descriptor_is_not_decoded_on_the_loop():
    """It is fetched from a worker, which may be stopped."""
    _, theirs = SPAWN.Pipe()
    encoded = PickleCodec().encode([theirs])
    assert isinstance(encoded, Encoded)
    assert needs_import(encoded.stream)
    assert needs_import(memoryview(encoded.stream))
    assert not needs_import(pickle.dumps([SPAWN, "millpond.wire.descriptors"], 5))


def test_a_program_without_multiprocessing_does_not_import_it():
    """Nor does it pay for its tables; a socket travels all the same."""
    code = """
import socket, sys
from millpond.wire import sharing
from millpond.wire.codec import PickleCodec
codec = PickleCodec()
with socket.socket() as mine:
    encoded = codec.encode_arguments((mine, [1]), {})
    codec.decode(encoded.stream, encoded.buffers)[0][0].close()
assert sharing.table() is None
assert not [name for name in sys.modules if name.startswith("multiprocessing")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_other_reducers_of_multiprocessing_s_table_are_left_alone():
    """Other packages register theirs there: what plain pickling carries is carried by it."""

    class Kind:
        pass

    multiprocessing.reduction.register(Kind, lambda value: (int, (1,)))
    known = sharing.table()
    assert known is not None
    assert Kind not in known


def test_what_is_given_away_and_kept_nowhere_is_there_when_it_arrives():
    """The name of a lock lives as long as the lock, and a piece of shared memory is given to the next who asks."""
    codec = PickleCodec()
    encoded = codec.encode_arguments((SPAWN.Lock(), SPAWN.RawArray("i", [1, 2])), {})
    gc.collect()
    others = [SPAWN.RawArray("i", [5, 6]) for _ in range(3)]
    assert isinstance(encoded, Encoded)
    lock, array = codec.decode(encoded.stream, encoded.buffers)[0]
    assert lock.acquire(block=False)
    assert list(array) == [1, 2]
    assert others


def test_a_list_with_another_pipe_end_is_another_value():
    """Though the ends have the same number: what a worker remembers of the program's values tells them apart."""
    first, other = SPAWN.Pipe()
    number, mark = first.fileno(), mark_of([first])
    first.close()
    second, _ = SPAWN.Pipe()
    assert second.fileno() == number
    assert mark_of([second]) != mark
    other.close()


class Derived(multiprocessing.connection.Connection):
    """A connection that does something more."""


def test_a_connection_of_another_class_is_refused():
    """It would travel as the number of its descriptor."""
    ours, theirs = SPAWN.Pipe()
    derived = Derived(os.dup(theirs.fileno()))
    with pytest.raises(CodecError, match="Derived"):
        carry([derived])
    derived.close()
    ours.close()
