"""The raw results as a file: one line a run, by its name, under the facts of when and where."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Raw = dict[str, Any]


class Store:
    """What was run so far. Saved whole, so that a run that is broken off can go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: Raw = {}
        self.runs: dict[str, Raw] = {}
        if path.exists():
            read = json.loads(path.read_text())
            self.facts, self.runs = read["facts"], read["runs"]

    def keep(self, traffic: dict[str, str]) -> None:
        """Forget what was run on other traffic than is run now: name of a run -> its traffic's digest."""
        stale = [key for key, raw in self.runs.items() if key in traffic and raw.get("traffic") != traffic[key]]
        for key in stale:
            del self.runs[key]

    def save(self) -> None:
        rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(_rounded(raw))}" for key, raw in sorted(self.runs.items()))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_text(f'{{"facts": {json.dumps(self.facts)},\n"runs": {{\n{rows}\n}}}}\n')
        os.replace(beside, self.path)


def _rounded(raw: Raw) -> Raw:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in raw.items()}
