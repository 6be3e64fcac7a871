"""Where a pool may be used: a notebook, a script's `__main__`, uvloop, threads, a forked child, trio."""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nbclient
import nbformat
import pytest
import trio
import uvloop

import millpond
from millpond.engine.kernel import check_platform
from tests.processes.handlers import Adder
from tests.start_methods import both


def script(tmp_path: Path, source: str, timeout: float = 60.0) -> str:
    """What a program prints that is run as `python file.py`; its exit code must be 0."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(source))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


@both
def test_any_directory_name_will_do(start_method: str, tmp_path: Path) -> None:
    """A line break, quotes and bytes that are no UTF-8 in the paths where code is found change nothing."""
    odd = tmp_path / os.fsdecode(b"a\nb'\"\\ \xff{}\xc3\xa9")
    odd.mkdir()
    (odd / "oddly_placed.py").write_text("class Odd:\n    def ask(self): return 42\n")
    source = f"""
        import millpond
        from oddly_placed import Odd
        with millpond.SyncPool(Odd, max_workers=1, start_method={start_method!r}) as pool:
            print(pool.call("ask"))
        """
    assert script(odd, source) == "42\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_a_pool_works_in_a_notebook() -> None:
    """Cells define the handler and await its calls on the notebook's own loop; a redefined function is the new one."""
    cells = [
        "import millpond\nclass Echo:\n    def echo(self, x):\n        return x\n"
        "pool = millpond.Pool(Echo, max_workers=1)\nawait pool.open()",
        "def f(): return 1\nprint(await pool.call('echo', 5), await pool.run(f))",
        "def f(): return 2\nprint(await pool.run(f))",
        "await pool.close()\nprint(pool.statistics().state)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=60, kernel_name="python3").execute()
    printed = "".join(out["text"] for cell in book.cells for out in cell.outputs if out["output_type"] == "stream")
    assert printed == "5 1\n2\nclosed\n"


def test_uvloop_serves_as_asyncio_does() -> None:
    """Calls, large payloads, deadlines and deaths work under uvloop."""

    async def main() -> None:
        async with millpond.Pool(Adder, max_workers=2) as pool:
            assert await asyncio.gather(*(pool.call("add", n, 1) for n in range(200))) == list(range(1, 201))
            assert await pool.call("give", b"x" * 3_000_000) == b"x" * 3_000_000
            with pytest.raises(millpond.DeadlineExceeded):
                await pool.options(deadline=0.1).call("sleep", 5.0)
            with pytest.raises(millpond.WorkerDied):
                await pool.call("leave", 3)

    uvloop.run(main())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_cannot_use_its_parents_pool() -> None:
    """The workers belong to the parent: a call in the child raises, and the parent's pool goes on."""
    with millpond.SyncPool(Adder, max_workers=1) as pool:
        pid = os.fork()
        if not pid:
            try:
                pool.call("add", 1, 2)
            except millpond.PoolClosed as error:
                os._exit(0 if "forked" in str(error) else 2)
            except BaseException:
                os._exit(3)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert pool.call("add", 1, 2) == 3


def test_trio_is_refused_with_a_sentence() -> None:
    """The async face needs asyncio, and says so."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="asyncio"):
            await millpond.Pool(Adder).open()

    trio.run(main)


def test_other_systems_are_refused_with_a_sentence() -> None:
    """Windows has no local engine, and macOS only the spawning one."""
    with pytest.raises(OSError, match="Windows"):
        check_platform("win32", "spawn")
    with pytest.raises(OSError, match="spawn"):
        check_platform("darwin", "fork")
    check_platform("darwin", "spawn")
    check_platform("linux", "fork")


def test_an_initializer_of_a_script_sets_globals_for_its_functions(tmp_path: Path) -> None:
    """As with ProcessPoolExecutor: a global that the initializer sets in `__main__` is there for what follows."""
    said = script(
        tmp_path,
        """
        import millpond

        model = None

        def load(name):
            global model
            model = name

        def ask(x):
            return model, x

        if __name__ == "__main__":
            with millpond.Executor(2, initializer=load, initargs=("small",)) as executor:
                print(list(executor.map(ask, range(3))))
        """,
    )
    assert said == "[('small', 0), ('small', 1), ('small', 2)]\n"


def test_functions_of_a_script_run_with_the_globals_of_their_call(tmp_path: Path) -> None:
    """Submitted all at once while a global and a helper change and change back, one by one and side by side."""
    said = script(
        tmp_path,
        """
        import millpond

        x, seen = 0, []

        def helper():
            return "even", x

        even = helper

        def odd():
            return "odd", x

        class Box:
            def get(self):
                return x

        def ask(n):
            return n, x, helper(), len(seen)

        if __name__ == "__main__":
            for concurrency in (1, 4):
                with millpond.Executor(2, concurrency=concurrency) as executor:
                    asked = []
                    for n in range(120):
                        x, helper = n % 3, (even, odd)[n % 2]
                        if n % 20 == 0:
                            seen.append(n)
                        asked.append((executor.submit(ask, n), (n, x, helper(), len(seen))))
                    wrong = [future.result() for future, wanted in asked if future.result() != wanted]
                    for x in (1, 2, 1, -0.0, 0.0):
                        if repr(executor.submit(Box().get).result()) != repr(x):
                            wrong.append(x)
                    print(wrong)
        """,
    )
    assert said == "[]\n[]\n"
