"""The program's `__main__` as code finds it in the workers, where the standard library's workers have it."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.start_methods import both

SCRIPT = """
import dataclasses, importlib, multiprocessing, os, pickle, sys, typing
import slow_to_import
import millpond

print("run", __name__)

@dataclasses.dataclass
class Item:
    n: int
    next: "typing.Optional[Item]" = None

def sq(x): return x * x
def slow(): return slow_to_import.value

def pickled(): return pickle.loads(pickle.dumps(Item(3))).n
def hints(): return sorted(typing.get_type_hints(Item))
def by_name(): return importlib.import_module("__main__").sq(3), globals()["sq"](4)
def argv(): return sys.argv[1:]
def unimported(): return "slow_to_import" in sys.modules
def imported(): return sys.modules["__main__"].slow()

def forked():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(sq, [3]), pool.apply(Item, (4,)).n, pool.apply(names)

def spawned():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(sq, [3]), pool.apply(Item, (4,)).n, pool.apply(names)

def given(function):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(function, [5])

def names(): return multiprocessing.current_process().name, multiprocessing.parent_process().name

def parent(program):
    process = multiprocessing.parent_process()
    process.join(0)
    return process.pid == program, process.is_alive()

if __name__ == "__main__":
    with millpond.Executor(1, start_method=sys.argv[1]) as executor:
        for function in (unimported, pickled, hints, by_name, argv, imported, names, forked, spawned):
            print(function.__name__, executor.submit(function).result())
        print("given", executor.submit(given, sq).result())
        print("parent", *executor.submit(parent, os.getpid()).result())
        def sq(x): return -x
        print("redefined", executor.submit(eval, "__import__('__main__').sq(3)").result(), end=" ")
        print(executor.submit(by_name).result())
"""


def run(folder: Path, *arguments: str) -> str:
    """What a program in that folder prints."""
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@both
def test_main_in_a_worker_is_what_the_program_defines(start_method: str, tmp_path: Path) -> None:
    """By pickle, by annotations and by name; for children of the worker, too; and the script is run by none of ours."""
    (tmp_path / "program.py").write_text(SCRIPT)
    (tmp_path / "slow_to_import.py").write_text("value = 5\n")
    said = run(tmp_path, "program.py", start_method)
    kind = start_method.capitalize()
    assert said == textwrap.dedent(
        f"""\
        run __main__
        unimported False
        pickled 3
        hints ['n', 'next']
        by_name (9, 16)
        argv ['{start_method}']
        imported 5
        names ('{kind}Process-1', 'MainProcess')
        forked ([9], 4, ('ForkPoolWorker-1:1', '{kind}Process-1'))
        run __mp_main__
        spawned ([9], 4, ('SpawnPoolWorker-1:2', '{kind}Process-1'))
        given [25]
        parent True True
        redefined 9 (-3, -4)
        """
    )


@both
def test_a_package_that_is_run_imports_relatively_in_its_workers(start_method: str, tmp_path: Path) -> None:
    """`python -m package`: a function of its `__main__` finds the modules beside it when it is called."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "beside.py").write_text("def two(): return 2\n")
    (package / "__main__.py").write_text(
        "import millpond\n"
        "def late():\n    from .beside import two\n    return two(), __package__\n"
        f"with millpond.Executor(1, start_method={start_method!r}) as executor:\n"
        "    print(executor.submit(late).result())\n"
    )
    assert run(tmp_path, "-m", "package") == "(2, 'package')\n"


def test_a_handler_of_a_script_finds_its_main_from_the_beginning(tmp_path: Path) -> None:
    """In `preload`, which runs in the image of the workers, in `__init__`, and in operations of plain data."""
    (tmp_path / "program.py").write_text(
        "import millpond, sys\n"
        "def sq(x): return x * x\n"
        "class Handler:\n"
        "    @classmethod\n"
        "    def preload(cls): cls.preloaded = sys.modules['__main__'].sq(2)\n"
        "    def __init__(self): self.made = sys.modules['__main__'].sq(3)\n"
        "    def ask(self, x): return self.preloaded, self.made, sys.modules['__main__'].sq(x)\n"
        "with millpond.SyncPool(Handler, max_workers=1) as pool:\n"
        "    print(pool.call('ask', 4))\n"
    )
    assert run(tmp_path, "program.py") == "(4, 9, 16)\n"


def test_a_script_that_a_workers_child_runs_again_opens_no_pool(tmp_path: Path) -> None:
    """Without a main guard each child would have a pool, whose worker would have a child."""
    (tmp_path / "program.py").write_text(
        "import millpond, multiprocessing\n"
        "def spawned():\n"
        "    child = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    child.start()\n"
        "    child.join()\n"
        "    return child.exitcode\n"
        "with millpond.Executor(1, output='ring') as executor:\n"
        "    print(executor.submit(spawned).result())\n"
    )
    assert run(tmp_path, "program.py") == "1\n"
