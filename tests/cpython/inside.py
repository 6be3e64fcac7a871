"""Runs one of CPython's tests in this process, or lists them; started by `run.py`.

Ends with one of the exit codes below; what else there is to say of the test is printed.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys
import unittest
from collections.abc import Iterator

from test import support
from test.support import script_helper

import tests.cpython.stand_in  # noqa: F401 - before the tests look for the pool

PASSED, FAILED, SKIPPED = 0, 1, 2
PACKAGE = "test.test_concurrent_futures"  # up to 3.11 one module
MODULES = ("test_as_completed", "test_deadlock", "test_init", "test_process_pool", "test_shutdown", "test_wait")
KINDS = {"ProcessPoolFork": "fork", "ProcessPoolSpawn": "spawn", "FailingInitializerResources": "resources"}

assert_python_ok = script_helper.assert_python_ok


def program_with_stand_in(option: str, program: str) -> tuple[int, bytes, bytes]:
    """As `assert_python_ok`, for a program that is to find our executor: in this environment, with a line before it."""
    program = f"import tests.cpython.stand_in\n{program}"
    return assert_python_ok(option, program, PYTHONPATH=os.environ["PYTHONPATH"])


def loaded() -> Iterator[unittest.TestSuite]:
    """All tests of executors."""
    whole = importlib.import_module(PACKAGE)
    is_package = hasattr(whole, "__path__")
    modules = [importlib.import_module(f"{PACKAGE}.{name}") for name in MODULES] if is_package else [whole]
    yield from map(unittest.defaultTestLoader.loadTestsFromModule, modules)


def named(suite: unittest.TestSuite) -> Iterator[tuple[str, unittest.TestCase]]:
    """Those of the process pool, with a name like "fork Wait.test_timeout"."""
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from named(one)
            continue
        kind = type(one).__name__
        for start, word in KINDS.items():
            if kind.startswith(start) and "Forkserver" not in kind:
                yield f"{word} {kind.removeprefix(start).removesuffix('Test')}.{one._testMethodName}", one


def run(test: unittest.TestCase) -> int:
    """Run it; threads or processes that it leaves behind make it fail."""
    result = unittest.TestResult()
    test.run(result)
    told = [text for _, text in result.errors + result.failures]
    if support.environment_altered and not told:
        told.append("threads or processes were left behind")
    print(*told, *(why for _, why in result.skipped), sep="\n")
    return FAILED if told else SKIPPED if result.skipped else PASSED


def main(name: str = "", limit_s: str = "0") -> int:
    """List the tests, or run the one of that name."""
    script_helper.assert_python_ok = program_with_stand_in
    found = {name: test for suite in loaded() for name, test in named(suite)}
    if not name:
        print(*found, sep="\n")
        return PASSED
    faulthandler.dump_traceback_later(float(limit_s))
    return run(found[name])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
