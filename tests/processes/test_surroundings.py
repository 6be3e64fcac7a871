"""What surrounds a worker: environment, directory, limits, cores, threads, seeds, output, and what may be preloaded."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import millpond
from millpond.environment import SECRETS
from tests.faults.harness import processes_of
from tests.processes.handlers import Surroundings
from tests.start_methods import both


def with_pool(body: Callable[[millpond.Pool], Awaitable[Any]], handler: Any, **settings: Any) -> Any:
    """Run `body` with an open pool."""

    async def main() -> Any:
        async with millpond.Pool(handler, **{"max_workers": 1, **settings}) as pool:
            return await body(pool)

    return asyncio.run(main())


@both
def test_a_worker_is_surrounded_as_the_settings_say(start_method: str, tmp_path: Path) -> None:
    """Environment, directory, niceness, limits, cores and library threads are the settings'; stdin is empty."""
    core = min(os.sched_getaffinity(0))
    about = with_pool(
        lambda pool: pool.call("about", "MILLPOND_TEST"),
        Surroundings,
        start_method=start_method,
        worker_env={"MILLPOND_TEST": "yes"},
        cwd=str(tmp_path),
        nice=3,
        rlimits={"NOFILE": 200},
        cpu_affinity=[core],
        threads_per_worker=2,
    )
    assert about == {
        "variable": "yes",
        "cwd": str(tmp_path),
        "nice": os.nice(0) + 3,
        "files": 200,
        "cores": [core],
        "omp": "2",
        "stdin": "/dev/null",
    }


@both
def test_only_what_is_listed_of_the_programs_variables_reaches_its_processes(
    start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the warden, nor a worker, nor what the system shows of the two, has the others."""
    monkeypatch.setenv("SECRET_KEY", "canary")
    monkeypatch.setenv("SHOWN_KEY", "seen")

    async def body(pool: millpond.Pool) -> dict[str, Any]:
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in processes_of(pool.run_id)]
        assert len(environments) == 2
        assert not any(b"canary" in environment for environment in environments)
        return {name: (await pool.call("about", name))["variable"] for name in ("SECRET_KEY", "SHOWN_KEY", "PATH")}

    shown = {"SECRET_KEY": None, "SHOWN_KEY": "seen", "PATH": os.environ["PATH"]}
    settings = {"start_method": start_method}
    assert with_pool(body, Surroundings, worker_env={"SECRET_KEY": None}, **settings) == shown
    assert with_pool(body, Surroundings, inherit_env=["SHOWN_*"], **settings) == shown


@both
def test_no_worker_or_warden_is_given_the_servers_token(start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where all variables, or these by name, are to be inherited."""
    for name in sorted(SECRETS):
        monkeypatch.setenv(name, "canary")

    async def body(pool: millpond.Pool) -> list[str | None]:
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in processes_of(pool.run_id)]
        assert len(environments) == 2
        assert not any(b"canary" in environment for environment in environments)
        return [(await pool.call("about", name))["variable"] for name in sorted(SECRETS)]

    settings = {"start_method": start_method}
    assert with_pool(body, Surroundings, **settings) == [None, None]
    assert with_pool(body, Surroundings, inherit_env=["MILLPOND_*"], **settings) == [None, None]


def test_forked_workers_draw_different_numbers() -> None:
    """`random` and numpy's global generator are seeded anew in each worker of one image."""

    async def body(pool: millpond.Pool) -> list[tuple[float, float]]:
        first = await pool.call("draw")
        await pool.replace_workers()
        return [first, await pool.call("draw")]

    drawn = with_pool(body, Surroundings, preload=["random", "numpy"])
    assert len({number for pair in drawn for number in pair}) == 4


@both
def test_log_records_reach_the_programs_logging(start_method: str, caplog: pytest.LogCaptureFixture) -> None:
    """A worker's records arrive under their logger's name with worker and call attached."""
    with caplog.at_level(logging.INFO):
        with_pool(lambda pool: pool.call("log", "a word"), Surroundings, start_method=start_method)
    (record,) = [record for record in caplog.records if record.name == "tests.handler"]
    assert record.getMessage() == "a word"
    assert record.levelno == logging.WARNING
    assert getattr(record, "worker") == 1  # noqa: B009
    assert getattr(record, "call") == 1  # noqa: B009
