"""Runs the cells and writes the raw results and the page's tables. `--help` tells the rest."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from benchmarks.sizing.cells import cells, digest_of
from benchmarks.sizing.runs import HIGH, LOW, OBJECTIVE
from benchmarks.sizing.store import Store
from benchmarks.sizing.tables import parts, write
from benchmarks.sizing.tasks import Task, tasks_of
from millpond.simulator import make_steering

RESULTS = Path(__file__).parent.parent / "results" / "sizing.json"
SAVE_EACH_S = 20.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--traces", type=Path, help="folder with the recorded traffic; without it, none is run")
    parser.add_argument("--jobs", type=int, default=2, help="processes that simulate (2)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the raw results are, and go (%(default)s)")
    parser.add_argument("--policy", default="rehearsal", help="the package's policy that is judged (%(default)s)")
    parser.add_argument(
        "--only", choices=["ours", "shipped", "tuned"], help="run these anew, take the others as they are"
    )
    parser.add_argument("--cells", default="", help="only cells with this in their names; the page is left alone")
    parser.add_argument("--fresh", action="store_true", help="forget what was run before")
    return parser.parse_args()


def wanted(tasks: Iterable[Task], store: Store, only: str | None) -> list[Task]:
    """What is to be run: what is missing, or what was asked for, whether it is there or not."""
    found = []
    for task in tasks:
        is_chosen = only == ("ours" if task.what == "step" else task.what)
        if task.key not in store.runs if only is None else is_chosen:
            found.append(task)
    return sorted(found, key=lambda task: (task.what != "tuned", -task.cell.cold_s))  # the longest first


def digests(tasks: Iterable[Task], folder: Path) -> dict[str, str]:
    """Of the traffic of each task, by the task's name."""
    on = [task for task in tasks if task.what != "step"]
    found = {
        (kind, seed): digest_of(kind, folder, seed) for kind, seed in dict.fromkeys((t.cell.kind, t.seed) for t in on)
    }
    return {task.key: found[task.cell.kind, task.seed] for task in on}


def run(task: Task, folder: Path) -> tuple[str, dict[str, Any]]:
    return task.key, task.run(folder)


def results(tasks: list[Task], folder: Path, jobs: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each as it is ready."""
    with ProcessPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(run, task, folder) for task in tasks]):
            yield future.result()


def main() -> None:
    told = arguments()
    make_steering(told.policy, OBJECTIVE, "prompt", LOW, HIGH)  # a wrong name is told now, not after half an hour
    store = Store(told.out)
    if told.fresh:
        store.runs.clear()
    chosen = [cell for cell in cells(told.traces is not None) if told.cells in str(cell)]
    everything = list(tasks_of(chosen, told.policy))
    store.keep(digests(everything, told.traces or Path()))
    tasks = wanted(everything, store, told.only)
    store.facts = facts() | {"date": datetime.date.today().isoformat(), "policy": told.policy}
    began = saved = time.monotonic()
    for number, (key, raw) in enumerate(results(tasks, told.traces or Path(), told.jobs), 1):
        store.runs[key] = raw
        passed = time.monotonic() - began
        left = passed / number * (len(tasks) - number)
        print(f"\r{number} of {len(tasks)}, {passed:.0f} s, about {left:.0f} s left  ", end="", file=sys.stderr)
        if time.monotonic() - saved > SAVE_EACH_S:
            store.save()
            saved = time.monotonic()
    print(file=sys.stderr)
    if not told.cells:
        named = {task.key for task in tasks_of(list(cells(has_recorded=True)), told.policy)}
        store.runs = {key: raw for key, raw in store.runs.items() if key in named}
    store.save()
    found = parts(store, chosen, told.policy)
    if told.cells:
        print("\n\n".join(found.values()))
    else:
        write(found)
