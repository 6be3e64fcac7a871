"""What may not be there when workers are forked: threads, sockets, GPU contexts; and what to do instead is said."""

from __future__ import annotations

import socket
import threading

import pytest

import millpond
from millpond.engine.image import ImageError, check_descriptors
from tests.contract.sites import check, failure


class Connected:
    """Keeps a connection that its workers would share."""

    @classmethod
    def preload(cls) -> None:
        cls.ends = socket.socketpair()


class Threaded:
    """Leaves a thread behind."""

    @classmethod
    def preload(cls) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True, name="poller").start()


class Finished:
    """Had threads while it loaded, and waited for them."""

    @classmethod
    def preload(cls) -> None:
        for _ in range(20):
            worker = threading.Thread(target=int)
            worker.start()
            worker.join()

    def ask(self) -> int:
        return 42


class Bound:
    """Asks for an instance, of which there is none yet."""

    def preload(self) -> None:
        """Never run."""


class Asynchronous:
    """Asks for a loop, of which there is none yet."""

    @classmethod
    async def preload(cls) -> None:
        """Never run."""


class Tidy:
    """Connected while it loads, and closed again; opens files."""

    @classmethod
    def preload(cls) -> None:
        for end in socket.socketpair():
            end.close()
        cls.file = open(__file__)  # noqa: SIM115 - stays open on purpose

    def ask(self) -> int:
        return 42


@pytest.mark.parametrize(
    ("handler", "told", "remedy"),
    [(Connected, "2 sockets open", "setup()"), (Threaded, "left threads running (poller)", "setup()")],
)
async def test_what_a_fork_would_share_or_lose_is_refused(handler, told, remedy):
    """The error counts what was found, and names the remedy."""
    error = check(await failure(millpond.Pool(handler, max_workers=1).open()), "start_failed", "not_started")
    assert told in str(error)
    assert remedy in str(error)
    assert "start_method='spawn'" in str(error)


AGENT = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True, name="agent").start()
"""


async def test_threads_that_were_there_before_are_told_of_and_forked_with(tmp_path, monkeypatch, caplog):
    """A tracing agent of the interpreter's is not the handler's doing: one warning a pool, whatever it loads anew."""
    (tmp_path / "sitecustomize.py").write_text(AGENT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with millpond.Pool(Tidy, max_workers=1) as pool:
        assert await pool.call("ask") == 42
        await pool.replace_workers()
        assert await pool.call("ask") == 42
    (said,) = [record.getMessage() for record in caplog.records if "(agent)" in record.getMessage()]
    assert "forked beside threads" in said
    error = check(await failure(millpond.Pool(Threaded, max_workers=1).open()), "start_failed", "not_started")
    assert "left threads running (poller)" in str(error)


@pytest.mark.parametrize("_", range(5))
async def test_threads_that_ended_are_no_matter(_):
    """Even those that were joined a moment ago, which the system lists a little longer."""
    async with millpond.Pool(Finished, max_workers=1) as pool:
        assert await pool.call("ask") == 42


@pytest.mark.parametrize(
    ("handler", "told"), [(Bound, "Bound.preload() is no class method"), (Asynchronous, "is asynchronous")]
)
async def test_a_preload_that_could_not_run_says_how_it_is_written(handler, told):
    """Neither is passed over in silence."""
    error = check(await failure(millpond.Pool(handler, max_workers=1).open()), "start_failed", "not_started")
    assert told in str(error)


async def test_what_was_closed_again_and_files_are_no_matter():
    """Only what is open at the fork is shared."""
    async with millpond.Pool(Tidy, max_workers=1) as pool:
        assert await pool.call("ask") == 42


@pytest.mark.parametrize("device", ["/dev/nvidia0", "/dev/nvidia-uvm", "/dev/kfd"])
def test_a_gpu_context_is_known_by_its_devices(device):
    """Libraries that are only loaded open none."""
    with pytest.raises(ImageError, match=r"GPU context .*setup\(\)"):
        check_descriptors({0: "/dev/null"}, {0: "/dev/null", 5: device})


def test_what_was_open_before_is_not_the_handlers():
    """The warden's own socket, and what a number meant before, do not count; a number used anew does."""
    check_descriptors({3: "socket:[1]"}, {3: "socket:[1]", 4: "/tmp/model.bin", 5: "pipe:[9]"})
    with pytest.raises(ImageError, match="1 sockets open"):
        check_descriptors({3: "socket:[1]"}, {3: "socket:[2]"})
