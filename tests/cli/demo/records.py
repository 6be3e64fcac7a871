"""Records of a demo in full swing, for the tests of what is shown of one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from millpond.cli.demo.record import PoolRecord, Record
from millpond.cli.demo.tally import Tally
from millpond.events import WorkerGone

LINK = "http://127.0.0.1:8000/login#IfRXusizNJ8c1tgopISKKA"
GONE = WorkerGone(1, 101, "crashed", "died", 9, None, 1, 0, 5.0)


def pool_of(name: str, **facts: Any) -> PoolRecord:
    """A pool whose worker was killed and replaced, with these facts in its record."""
    tally = Tally(asked=1300, answered=1012, rates=[float(n % 30) for n in range(90)])
    tally.failures.update(overloaded=266, deadline_exceeded=7)
    tally.all_times.update({12: 1000, 900: 12})
    now: Any = SimpleNamespace(alive=2, wanted=2, busy=(1,), queued=3, sessions_open=150, sessions_asleep=20)
    known: dict[str, Any] = {
        "now": now,
        "tally": tally,
        "limit": 2,
        "most_wanted": 2,
        "health": SimpleNamespace(score=62.4, state="saturated"),
        "rate": 48.2,
        "p50_s": 0.0121,
        "p99_s": 0.912,
        "victim": 1,
        "gone": GONE,
        "replaced_s": 0.526,
    }
    return PoolRecord(name, **(known | facts))


def record_of(**facts: Any) -> Record:
    """A demo with two pools, in its overload."""
    pools = (
        pool_of("digits", restored=74, firing=("DemoOverload",), fired=1),
        pool_of("digits-plain", lost=37),
    )
    known: dict[str, Any] = {
        "pools": pools,
        "sessions": 150,
        "link": LINK,
        "phase": "overload",
        "elapsed_s": 5.0,
        "length_s": 14.0,
        "opened_s": 3.6,
        "cold": {"import_s": 1.79, "train_s": 0.39},
        "served_s": 31.0,
        "phases": 3,
    }
    return Record(**(known | facts))
