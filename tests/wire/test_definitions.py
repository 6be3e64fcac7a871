"""What a program's `__main__` defines is noticed when it changes, and pickled no more often than that."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from millpond.wire.definitions import LARGEST_BYTES
from tests.wire.program import Program

SCRIPT = """
import json, decimal
from fractions import Fraction
SCALE, TABLE, unused = 3, {"a": [1]}, 5
class Item:
    weight: "decimal.Decimal"
    def scaled(self): return self.n * SCALE
def sq(x): return x * x
def dumped(): return json.dumps(TABLE) + str(Fraction(1))
"""


def test_functions_classes_and_what_they_mention_have_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data and modules that nothing mentions stay at home."""
    entries = Program(monkeypatch, SCRIPT).look()
    assert entries.keys() == {"Item", "sq", "dumped", "json", "decimal", "SCALE", "TABLE", "Fraction"}


def test_nothing_is_pickled_while_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same entries come back, the same objects, whatever happened to names that no definition mentions."""
    program = Program(monkeypatch, SCRIPT)
    entries = program.look()
    program.run("unused = 6; another = object()")
    assert program.look() is entries


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("def sq(x): return -x", {"sq"}),
        ("def new(): return 1", {"new"}),
        ("unused = lambda: 1", {"unused"}),
        ("SCALE = 4", {"SCALE"}),
        ("class Item: pass", {"Item"}),
        ("del sq", {"sq"}),
        ("sq = 5", {"sq"}),
        ("def uses(): return unused", {"uses", "unused"}),
        ("del sq\ndef other(): pass", {"sq", "other"}),
    ],
)
def test_only_what_changed_is_pickled_anew(monkeypatch: pytest.MonkeyPatch, change: str, names: set[str]) -> None:
    """A redefinition, a new name and one that is gone change their own entries; all others stay the same objects."""
    program = Program(monkeypatch, SCRIPT)
    before = program.look()
    program.run(change)
    after = program.look()
    changed = {name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)}
    assert changed == names


def test_a_program_without_definitions_has_no_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules, data and what was imported are none."""
    assert Program(monkeypatch, "import json\nfrom json import dumps\nx = 5").look() == {}


def test_what_cannot_be_pickled_and_what_is_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are there, and it is not tried again while it stays the same."""
    program = Program(
        monkeypatch,
        f"import threading\n"
        f"tried, large = [], list(range({LARGEST_BYTES}))\n"
        "class Stubborn:\n    def __reduce__(self): tried.append(1); raise TypeError\n"
        "def stubborn(x=Stubborn()): pass\n"
        f"def heavy(x=bytes({LARGEST_BYTES})): pass\n"
        "def fine(): return large\n",
    )
    assert program.look().keys() == {"Stubborn", "fine", "tried"}
    program.run("another = 1")
    program.look()
    assert program.scope["tried"] == [1]


def test_data_that_was_too_large_has_an_entry_once_it_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is looked at again when its value is another, of the same type too."""
    program = Program(monkeypatch, f"large = list(range({LARGEST_BYTES}))\ndef fine(): return large")
    assert "large" not in program.look()
    program.run("kept, large = large, [1]")
    assert "large" in program.look()


def test_objects_with_code_of_their_own_are_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickling what nobody submitted must have no effect: only plain data goes along with what mentions it."""
    spy = "class Spy:\n    def __reduce__(self): raise SystemExit\n"
    program = Program(monkeypatch, spy + "spy = Spy()\nheld = [spy]\ndef f(): return spy, held")
    assert program.look().keys() == {"Spy", "f"}


def test_loggers_patterns_and_paths_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts have them beside their functions."""
    imports = "import datetime, decimal, logging, pathlib, re\n"
    data = "a, b, c = logging.getLogger('a'), re.compile('b'), pathlib.Path('c')\n"
    more = "d, e = datetime.timedelta(1), decimal.Decimal(1)\ndef f(): return a, b, c, d, e"
    assert Program(monkeypatch, imports + data + more).look().keys() == {"a", "b", "c", "d", "e", "f"}


def test_the_pool_that_looked_last_has_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks from many threads leave what the program defines now, and each thread's look what it saw at least."""
    program = Program(monkeypatch, "def f0(): pass")
    missing: list[int] = []

    def work(first: int) -> None:
        for number in range(first, first + 20):
            exec(f"def f{number}(): pass", program.scope)
            if f"f{number}" not in program.look() or f"f{number}" not in program.definitions.newest:
                missing.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200, 300, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missing
    assert len(program.definitions.newest) == 81


def test_a_forked_child_can_look_whatever_the_program_did_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was pickling when the program forked is not in the child, and keeps nobody there waiting."""
    source = "class Slow:\n    def __reduce__(self): begun.set(); go.wait(20); return int, ()\ndef f(x=Slow()): pass"
    program = Program(monkeypatch, "")
    begun, go = threading.Event(), threading.Event()
    program.scope.update(begun=begun, go=go)
    program.run(source)
    thread = threading.Thread(target=program.look)
    thread.start()
    assert begun.wait(20)
    child = os.fork()
    if child == 0:
        go.set()
        signal.alarm(10)
        os._exit(0 if program.look() else 1)
    go.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
