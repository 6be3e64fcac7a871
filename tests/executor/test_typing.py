"""What a type checker knows of an `Executor`, under its strictest rules."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
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


def told(folder, program):
    """What mypy says of a program, without the places."""
    file = folder / "program.py"
    file.write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(file)]
    lines = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False).stdout.splitlines()
    return [line.rsplit("  [", 1)[-1].rstrip("]") for line in lines[:-1]], lines


def test_its_futures_are_accepted_wherever_those_of_the_standard_library_are(tmp_path):
    """`submit` gives a `Future` of what the function returns, and `map` an iterator of it."""
    errors, lines = told(tmp_path, PROGRAM)
    assert errors == [], lines


def test_arguments_that_do_not_fit_the_function_are_refused(tmp_path):
    """And results that are taken for something else."""
    errors, lines = told(tmp_path, WRONG)
    assert errors == ["arg-type", "call-arg", "assignment"], lines
