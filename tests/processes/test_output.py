"""Where what a worker writes goes: to the program's own standard output and error, or into the pool's rings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import millpond
from tests.start_methods import METHODS

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, subprocess, sys
import millpond

def talk(number):
    print("printed", number)
    print("complained", number, file=sys.stderr)
    os.write(1, b"written\\n")
    subprocess.run(["echo", "from a child"], check=True)

def prepare():
    print("prepared")

if __name__ == "__main__":
    with millpond.Executor(1, initializer=prepare, start_method=sys.argv[1]) as executor:
        for number in range(2):
            executor.submit(talk, number).result(20)
            print("answered", number, flush=True)
"""

GONE_READER = """
import os, sys
import millpond

def talk():
    print("to nobody")

if __name__ == "__main__":
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.close(writer)
    with millpond.Executor(1, start_method=sys.argv[1]) as executor:
        before = executor.submit(os.getpid).result(20)
        os.close(reader)
        error = executor.submit(talk).exception(20)
        after = executor.submit(os.getpid).result(20)
    os.dup2(2, 1)
    print(type(error).__name__, before == after, file=sys.stderr)
"""

WITHOUT_OUTPUT = """
import os, sys
import millpond

def talk():
    os.write(1, b"into the pool's own file")
    print("to nobody", flush=True)
    return os.readlink("/proc/self/fd/1"), os.readlink("/proc/self/fd/2")

if __name__ == "__main__":
    os.close(1)
    taken = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
    assert taken == 1
    with millpond.Executor(1, start_method=sys.argv[1]) as executor:
        print(*executor.submit(talk).result(20), file=sys.stderr)
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("method", METHODS)
def test_what_an_executors_functions_write_is_the_programs_output_before_their_results_are(method: str):
    """Python's, C code's and children's output, in whole lines and in its order, as with the standard pool."""
    done = run(PROGRAM, method)
    assert done.stdout.splitlines() == [
        "prepared",
        *(line for n in range(2) for line in (f"printed {n}", "written", "from a child", f"answered {n}")),
    ]
    assert done.stderr.splitlines() == ["complained 0", "complained 1"]


@pytest.mark.parametrize("method", METHODS)
def test_a_reader_that_is_gone_costs_the_call_that_prints(method: str):
    """`print` raises, as it would in the program; the worker goes on."""
    assert run(GONE_READER, method).stderr.split() == ["BrokenPipeError", "True"]


@pytest.mark.parametrize("method", METHODS)
def test_a_file_that_took_the_number_of_a_closed_output_is_not_written_to(method: str, tmp_path: Path):
    """A program without standard output has workers without; what has its number by now is the program's own."""
    file = tmp_path / "file"
    done = run(WITHOUT_OUTPUT, method, str(file))
    assert done.stderr.startswith("/dev/null pipe:")
    assert file.read_bytes() == b""


def test_a_pools_output_is_kept_unless_it_is_to_be_inherited(capfd: pytest.CaptureFixture[str]):
    """`"ring"` is a pool's default; with `"inherit"` nothing is kept, neither for the logs nor for a death."""
    for output, kept, told in (("ring", "hello\n", ""), ("inherit", "", "hello\n")):
        with millpond.SyncPool(None, output=output, max_workers=1) as pool:
            pool.run(os.write, 2, b"hello\n")
            with pytest.raises(millpond.WorkerDied) as dead:
                pool.run(os._exit, 3)
            assert (pool.logs(), dead.value.stderr_tail, capfd.readouterr().err) == (kept, kept, told)
