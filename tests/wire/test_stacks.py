"""What is read of the stacks that a worker wrote: a complete answer to this request, and no thread of ours."""

from __future__ import annotations

import os

import pytest

from millpond.wire import stacks

HERE = "/x/millpond"
CONTROL = f'''Current thread 0x1 (most recent call first):
  File "{HERE}/worker/control_thread.py", line 100 in _write_stacks
  File "{HERE}/worker/control_thread.py", line 70 in _live
  File "/usr/lib/threading.py", line 982 in run
'''
EXPORTING = f'''Thread 0x2 (most recent call first):
  File "/app/handler.py", line 7 in export_session
  File "{HERE}/worker/control_thread.py", line 70 in _live
'''
MAIN = f'''Thread 0x3 (most recent call first):
  File "/app/handler.py", line 3 in work
  File "{HERE}/worker/main.py", line 83 in main
  File "{HERE}/engine/spawner.py", line 90 in _run
'''


def answer(number: int, text: str) -> bytes:
    return stacks.begin_mark(number) + text.encode() + stacks.end_mark(number)


@pytest.mark.parametrize("before", [b"", b"half of some", answer(6, "late"), stacks.begin_mark(6) + b"never ended"])
def test_only_a_complete_answer_to_this_request_counts(before):
    """Not one to an earlier request, which came late, and none that is being written."""
    whole = answer(7, "stacks")
    assert stacks.answer_in(before + whole, 7) == "stacks"
    for length in range(len(whole)):
        assert stacks.answer_in(before + whole[:length], 7) is None
    assert stacks.answer_in(before + whole, 77) is None


def test_what_the_signal_had_written_is_what_stands_before_any_answer():
    """Nothing, while the control thread was first."""
    assert stacks.unasked_in(b"stacks") == "stacks"
    assert stacks.unasked_in(b"stacks" + answer(7, "later")) == "stacks"
    assert stacks.unasked_in(answer(7, "stacks")) == ""


def test_the_main_thread_is_told_first_and_threads_of_ours_are_not():
    """Unless ours runs the handler's code; how the process came to be is left out."""
    shown = stacks.shown("\n".join([CONTROL, EXPORTING, MAIN]))
    assert shown.splitlines() == [*MAIN.splitlines()[:3], "", *EXPORTING.splitlines()]


def test_the_file_has_no_name_and_one_place_to_write():
    """Whoever empties it sets the place to write of its copies as well."""
    fd = stacks.create_file()
    copy = os.dup(fd)
    try:
        os.write(copy, b"before")
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(copy, b"now")
        assert os.pread(fd, stacks.MOST_BYTES, 0) == b"now"
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)
        os.close(copy)
