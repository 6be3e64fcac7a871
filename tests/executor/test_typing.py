"""What a type checker knows of an `Executor`, under its strictest rules."""

from __future__ import annotations

import subprocess
import sys

import pytest

RIGHT = """
import multiprocessing
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed, wait
import millpond

def square(x: int, *, twice: bool = False) -> int: return x * x

def any_executor(executor: Executor) -> Future[int]: return executor.submit(square, 1)

def use(stock: ProcessPoolExecutor) -> None:
    with millpond.Executor(max_workers=2) as executor:
        todo = {executor.submit(square, n): n for n in range(3)}
        for done in as_completed(todo):
            print(todo[done], done.result())
        print([todo[future] for future in wait(todo).done])
        todo[any_executor(executor)] = 4
        both = [executor.submit(square, 1), stock.submit(square, 1)]
        both.append(Future())
        result: int = executor.submit(square, 2, twice=True).result()
        results: list[int] = list(executor.map(square, range(3), timeout=1.5, chunksize=2))
"""
WRONG = """
import millpond
def square(x: int) -> int: return x * x
executor = millpond.Executor(2)
executor.submit(square, "2")
executor.submit(square)
text: str = executor.submit(square, 2).result()
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What mypy says of each program, in one run: most of its time goes into the package and the standard library."""
    folder = tmp_path_factory.mktemp("programs")
    for name, program in (("right.py", RIGHT), ("wrong.py", WRONG)):
        (folder / name).write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "right.py", "wrong.py"]
    lines = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False).stdout.splitlines()
    assert lines[-1].endswith("(checked 2 source files)"), lines
    return {
        name: [line.rsplit("  [", 1)[-1].rstrip("]") for line in lines if line.startswith(name)]
        for name in ("right.py", "wrong.py")
    }


def test_its_futures_are_accepted_wherever_those_of_the_standard_library_are(told):
    """`submit` gives a `Future` of what the function returns, and `map` an iterator of it."""
    assert told["right.py"] == []


def test_arguments_that_do_not_fit_the_function_are_refused(told):
    """And results that are taken for something else."""
    assert told["wrong.py"] == ["arg-type", "call-arg", "assignment"]
