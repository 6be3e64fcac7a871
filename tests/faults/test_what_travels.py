"""Row 35: a corpus of values, functions and classes goes to workers and back, through sessions, sleep and replacement.

Each is defined as a script defines it, has a probe whose answer must be the same everywhere, and is compared with what
plain cloudpickle carries to a fresh interpreter and with the standard pool.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import need
from tests.start_methods import both

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(__file__).parent / "corpus" / "program.py"
LISTS = {
    "script": ["classes.py", "objects.py", "made.py", "functions.py", "values.py", "fresh.py", "held.py"],
    "libraries": ["libraries.py", "programs.py"],  # slow to import: with one start method, and asleep in one store
}
LIMIT_S = 100

Report = dict[str, dict[str, str]]  # journey -> kind -> what its probe said


@pytest.fixture(autouse=True)
def _installed():
    need("dspy", "pandas", "pydantic")


@functools.cache
def report(way: str, lists: str = "script") -> Report:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, str(PROGRAM), way, *LISTS[lists]]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == 0, ended.stderr
    told: Report = json.loads(ended.stdout.splitlines()[-1])  # libraries print, too
    return told


def journeys(way: str, lists: str = "script") -> Report:
    told = report(way, lists)
    return {journey: told[journey] for journey in told if journey != "here"}


def failed(said: str) -> bool:
    return said.startswith("failed: ")


def right(kind: str, plain: Report) -> set[str]:
    """What may be said of it: what is said at home, or by plain cloudpickle where that makes a difference."""
    return {plain["here"][kind], *(said for said in (plain["there"][kind], plain["back"][kind]) if not failed(said))}


def only_stock() -> set[str]:
    """The kinds that the page lists as carried by the standard pool only."""
    page = (ROOT / "docs" / "executor.md").read_text()
    table = page.partition("<!-- only the standard pool -->")[2].partition("<!-- end -->")[0]
    return set(re.findall(r"^\| (\w[^|]*?) +\|", table, re.MULTILINE)[1:])


def wrong(way: str, lists: str) -> dict[str, dict[str, str]]:
    """By kind the journeys after which it is not what it was."""
    found: dict[str, dict[str, str]] = {}
    plain = report("plain", lists)
    for journey, told in journeys(way, lists).items():
        for kind, said in told.items():
            if kind in plain["here"] and said not in right(kind, plain):
                found.setdefault(kind, {})[journey] = said
    return found


@pytest.mark.parametrize(("lists", "least"), [("script", 120), ("libraries", 30)])
def test_35_plain_cloudpickle_carries_the_corpus(lists, least):
    """It is the reference: a kind that it does not carry is a fresh equivalent, or a listed one."""
    plain = report("plain", lists)
    carried = [kind for kind in plain["here"] if not failed(plain["there"][kind])]
    assert len(carried) >= least
    assert [kind for kind in carried if plain["there"][kind] not in right(kind, plain)] == []


@pytest.mark.parametrize(
    ("way", "lists", "count"),
    [("fork", "script", 9), pytest.param("spawn", "script", 9, marks=pytest.mark.spawn), ("brief", "libraries", 8)],
)
def test_35_what_travels_arrives_equal(way, lists, count):
    """As an argument, as a result, in `session.state`, asleep in memory and in a file, and in another worker."""
    assert len(journeys(way, lists)) == count
    assert {kind: said for kind, said in wrong(way, lists).items() if kind not in only_stock()} == {}


@both
def test_35_what_cannot_travel_is_refused(start_method):
    """It never arrives as something else, and the caller is told where in the arguments it is."""
    arrived = [
        (kind, journey, said)
        for journey, told in journeys(start_method).items()
        for kind, said in told.items()
        if kind not in report("plain")["here"] and not failed(said)
    ]
    assert arrived == []
    told = journeys(start_method)["argument of an operation"]
    refused = {kind: said for kind, said in told.items() if kind not in report("plain")["here"]}
    assert [said for said in refused.values() if "(at args[1]" not in said] == []


@both
def test_35_what_the_standard_pool_carries_arrives_or_is_listed(start_method):
    """`docs/executor.md` lists what only the standard pool carries, and nothing else."""
    stock, own = report(f"stock-{start_method}"), report(start_method)
    there = "argument of a function"
    more = {
        kind
        for kind in stock["there"]
        if not failed(stock["there"][kind]) and not failed(stock["back"][kind])
        if failed(own[there][kind]) or failed(own["there and back"][kind])
    }
    assert more == only_stock()
