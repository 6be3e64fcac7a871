"""Slots of shared memory: what is written arrives, room is used again, and a hostile writer is refused."""

from __future__ import annotations

import itertools
import os
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from millpond.wire.buffers import SLOTS, Arena, SlotReader, SlotWriter
from millpond.wire.frames import ProtocolError
from millpond.wire.shared_memory import PAGE_BYTES, SharedMemory
from tests.leftovers import Leftovers

ROOM = 10_000


class Ends:
    """An arena as two processes hold it: two mappings of one descriptor."""

    def __init__(self, nbytes: int = ROOM) -> None:
        self.here = Arena.create(nbytes)
        self.there = Arena(os.dup(self.here.fd), nbytes)
        self.writer = SlotWriter(self.here)
        self.reader = SlotReader(self.there)

    def close(self) -> None:
        self.here.close()
        self.there.close()


@pytest.fixture
def ends():
    """Writer and reader of one arena of 10,000 bytes."""
    made = Ends()
    yield made
    made.close()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_is_put_is_what_is_taken(ends: Ends, kind: type):
    """Bytes arrive equal, private and writable, whatever held them."""
    slot = ends.writer.put(kind(b"some bytes"))
    assert slot is not None
    taken = ends.reader.take(*slot)
    assert type(taken) is bytearray
    taken[0] = 0
    assert bytes(ends.here.data[:10]) == b"some bytes"
    assert taken == b"\0ome bytes"


def test_bytes_can_be_taken_as_bytes(ends: Ends):
    """What was `bytes` needs no second copy to be `bytes` again."""
    slot = ends.writer.put(b"some bytes")
    assert ends.reader.take(*slot, bytes) == b"some bytes"
    assert sum(ends.here.states) == 0


def test_a_taken_slot_is_used_again_at_once(ends: Ends):
    """One call after the other touches the same pages and the same index."""
    slots = []
    for number in range(5):
        slot = ends.writer.put(bytes([number]) * 5000)
        assert ends.reader.take(*slot) == bytes([number]) * 5000
        slots.append(slot)
    assert slots == [(0, 0, 5000)] * 5
    assert ends.writer.overflows == 0


def test_a_dropped_slot_is_free_unread(ends: Ends):
    """An answer nobody waits for does not hold its memory."""
    slot = ends.writer.put(b"x" * ROOM)
    assert ends.writer.put(b"y") is None
    ends.reader.drop(slot[0])
    assert ends.writer.put(b"z" * ROOM) is not None


def test_slots_in_use_are_not_overwritten(ends: Ends):
    """Several calls in flight each keep their bytes, whichever is read first."""
    first, second, third = (ends.writer.put(bytes([65 + number]) * 3000) for number in range(3))
    assert ends.reader.take(*second) == b"B" * 3000
    fourth = ends.writer.put(b"D" * 2000)
    assert fourth[1] == second[1], "the gap is used before the end"
    assert ends.writer.put(b"E" * 2000) is None
    assert [ends.reader.take(*slot)[:1] for slot in (third, fourth, first)] == [b"C", b"D", b"A"]


def test_what_finds_no_room_is_counted(ends: Ends):
    """`None` sends the caller to the socket, and the count says how often."""
    assert ends.writer.put(b"x" * (ROOM + 1)) is None
    assert ends.writer.put(b"x" * ROOM) == (0, 0, ROOM)
    assert ends.writer.put(b"x") is None
    assert ends.writer.overflows == 2


def test_there_are_no_more_slots_than_state_bytes():
    """The 257th small buffer waits for a slot, not for bytes, and the freed one serves."""
    ends = Ends(SLOTS * 64 * 2)
    slots = [ends.writer.put(b"x") for _ in range(SLOTS)]
    assert sorted(slot[0] for slot in slots) == list(range(SLOTS))
    assert ends.writer.put(b"y") is None
    ends.reader.take(*slots[77])
    assert ends.writer.put(b"y")[0] == slots[77][0]
    ends.close()


def test_an_arena_without_room_sends_everything_elsewhere():
    """`buffer_bytes=0` turns shared memory off."""
    ends = Ends(0)
    assert ends.writer.put(b"x") is None
    ends.close()


@pytest.mark.parametrize(
    ("index", "offset", "length"),
    [
        (SLOTS, 0, 10),
        (-1, 0, 10),
        (2**32 - 1, 0, 10),
        (1, 0, 10),
        (0, ROOM - 9, 10),
        (0, 2**63, 10),
        (0, 0, 2**63),
        (0, 2**64 - 5, 10),
        (0, -5, 5),
        (0, 5, -5),
    ],
)
def test_nonsense_from_the_other_end_is_refused(ends: Ends, index: int, offset: int, length: int):
    """Slots that are not in use and bytes outside of the arena are a breach of the protocol, and copy nothing."""
    ends.writer.put(b"0123456789")
    for take in (ends.reader.take, partial(ends.reader.take, kind=bytes)):
        with pytest.raises(ProtocolError):
            take(index, offset, length)
    assert sum(ends.here.states) == 1


def test_a_slot_is_freed_once(ends: Ends):
    """A second release would free what the writer has given to another buffer."""
    slot = ends.writer.put(b"x")
    ends.reader.drop(slot[0])
    with pytest.raises(ProtocolError):
        ends.reader.drop(slot[0])


def test_the_last_byte_of_the_arena_can_be_used(ends: Ends):
    """Bounds are exact."""
    assert ends.reader.take(*ends.writer.put(b"x" * (ROOM - 1) + b"y"))[-1:] == b"y"


def test_the_state_bytes_lie_before_the_data(ends: Ends):
    """First page states, then data: what both ends agree on."""
    ends.writer.put(b"first")
    ends.writer.put(b"second")
    memory = SharedMemory(os.dup(ends.here.fd), PAGE_BYTES + ROOM)
    assert bytes(memory.mapped[:3]) == b"\1\1\0"
    assert bytes(memory.mapped[PAGE_BYTES : PAGE_BYTES + 5]) == b"first"
    memory.close()


def test_a_writer_does_not_trust_the_states_for_its_layout(ends: Ends):
    """A reader that sets bytes of slots it never got changes nothing for the writer."""
    ends.writer.put(b"x" * 100)
    ends.there.states[200] = 1
    ends.there.states[201] = 0
    assert ends.writer.put(b"y") == (1, 128, 1)


def test_threads_that_answer_at_once_get_slots_of_their_own():
    """A worker with several threads has one writer; their bytes do not mix."""
    ends = Ends(2**20)
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(200):
            slot = ends.writer.put(bytes([number]) * 3000)
            taken = ends.reader.take(*slot)
            if taken != bytes([number]) * 3000:
                wrong.append(slot)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(ends.here.states) == 0
    ends.close()


def memory_of(arena: Arena) -> int:
    """Bytes of memory that its pages take, the page of states not counted."""
    return os.fstat(arena.fd).st_blocks * 512 - PAGE_BYTES


@pytest.fixture
def roomy():
    """Both ends of an arena of a hundred pages, at the time 100."""
    made = Ends(100 * PAGE_BYTES)
    made.writer.give_back(100.0)
    yield made
    made.close()


def test_memory_that_a_burst_touched_is_given_back(roomy: Ends):
    """Not at once, and only what nothing reached since; what is put later arrives as ever."""
    slots = [roomy.writer.put(b"b" * 10 * PAGE_BYTES) for _ in range(8)]
    for slot in slots:
        roomy.reader.drop(slot[0])
    assert memory_of(roomy.here) == 80 * PAGE_BYTES
    assert roomy.writer.give_back(111.0) == 0
    roomy.reader.take(*roomy.writer.put(b"s" * 3 * PAGE_BYTES))
    assert roomy.writer.give_back(119.0) == 0
    assert roomy.writer.give_back(122.0) == 77 * PAGE_BYTES
    assert memory_of(roomy.here) == 3 * PAGE_BYTES
    assert roomy.writer.give_back(133.0) == 3 * PAGE_BYTES
    slot = roomy.writer.put(b"again" * PAGE_BYTES)
    assert roomy.reader.take(*slot) == b"again" * PAGE_BYTES


def test_memory_is_given_back_little_by_little(roomy: Ends):
    """To clear a large piece would hold up everybody else."""
    roomy.reader.drop(roomy.writer.put(b"b" * 80 * PAGE_BYTES)[0])
    most = 30 * PAGE_BYTES
    assert [roomy.writer.give_back(at, most) // PAGE_BYTES for at in (110.0, 120.0, 120.5, 121.0, 121.5)] == [
        0, 30, 30, 20, 0
    ]  # fmt: skip


def test_memory_that_a_reader_has_not_left_is_kept(roomy: Ends):
    """However long it takes to come for it, and whatever lies before and behind."""
    first, second, third = (roomy.writer.put(bytes([65 + n]) * 5 * PAGE_BYTES) for n in range(3))
    roomy.reader.drop(first[0])
    roomy.reader.drop(third[0])
    given = sum(roomy.writer.give_back(100.0 + 11 * n) for n in range(6))
    assert given == 5 * PAGE_BYTES
    assert roomy.reader.take(*second) == b"B" * 5 * PAGE_BYTES


def test_closing_leaves_nothing_behind():
    """No descriptor, no name in /dev/shm; closing twice is one closing."""
    before = set(os.listdir("/dev/shm")) if Path("/dev/shm").is_dir() else set()
    left = Leftovers()
    arena = Arena.create(100_000)
    arena.data[:5] = b"bytes"
    after = set(os.listdir("/dev/shm")) if Path("/dev/shm").is_dir() else set()
    assert not {name for name in after - before if "millpond" in name}
    arena.close()
    arena.close()
    left.wait_gone()


class ArenaMachine(RuleBasedStateMachine):
    """Puts, takes and drops in any order, against a list of what must be there."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = Ends(4000)
        self.held: list[tuple[tuple[int, int, int], bytes]] = []
        self.written = 0

    @rule(length=st.integers(0, 2500))
    def put(self, length: int) -> None:
        self.written += 1
        content = bytes([self.written % 251]) * length
        slot = self.ends.writer.put(content)
        if slot is None:
            assert not self.has_gap(length)
        else:
            self.held.append((slot, content))

    def has_gap(self, length: int) -> bool:
        """Whether some gap, from one cache line on, takes so many bytes."""
        start = 0
        for _, offset, used in sorted((slot for slot, _ in self.held), key=lambda slot: slot[1:]):
            if offset - start >= length:
                return True
            start = (offset + used + 63) // 64 * 64
        return 4000 - start >= length

    @rule(which=st.integers(0))
    def take(self, which: int) -> None:
        if self.held:
            slot, content = self.held.pop(which % len(self.held))
            assert self.ends.reader.take(*slot) == content

    @rule(which=st.integers(0))
    def drop(self, which: int) -> None:
        if self.held:
            self.ends.reader.drop(self.held.pop(which % len(self.held))[0][0])

    @invariant()
    def slots_are_disjoint_and_intact(self) -> None:
        slots = sorted(slot[1:] for slot, _ in self.held)
        assert all(one[0] + one[1] <= two[0] for one, two in itertools.pairwise(slots))
        assert len({slot[0] for slot, _ in self.held}) == len(self.held)
        for (_, offset, length), content in self.held:
            assert self.ends.there.data[offset : offset + length] == content

    @invariant()
    def an_empty_arena_takes_a_full_one(self) -> None:
        if not self.held:
            assert self.ends.reader.take(*self.ends.writer.put(b"f" * 4000)) == b"f" * 4000

    def teardown(self) -> None:
        self.ends.close()


ArenaMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
TestArena = ArenaMachine.TestCase
