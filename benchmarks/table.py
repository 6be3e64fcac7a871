"""Prints results: a line a peer while `run` goes on, and what stands between the markers of two pages.

They are `docs/performance.md`, and the README for its comparison.
`python -m benchmarks.table benchmarks/results/<date>.json` writes both again from raw data.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.scenarios import MEASURES, POOL, POOLS, SCENARIOS
from benchmarks.targets import TARGETS, ratio, reached

Row = list[str]
ROOT = Path(__file__).parent.parent
COMPARED = ("round trip p50", "64 in flight", "1,000 in flight", "1 MB array", "16 MB array")  # the README's columns
NUMBER = re.compile(r"[-0-9.,]*|not measured")


def amount(figure: float) -> str:
    """A figure with as many digits as it deserves."""
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def markdown(rows: list[Row]) -> str:
    """Rows, the first of them the head, as a table; columns of figures stand to the right."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    right = [all(NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    widths = [max(map(len, [*column, "---"])) for column in columns]
    ruler = ["-" * (width - 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)]
    lines = [[f"{cell:{'>' if r else '<'}{w}}" for cell, w, r in zip(row, widths, right, strict=True)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ruler, *lines[1:]])


def summary(raw: dict[str, Any], measures: list[str]) -> Iterator[str]:
    """Medians of some measures, a line a peer."""
    peers = dict.fromkeys(peer for measure in measures for peer in raw.get(measure, {}))
    for peer in peers:
        figures = [f"{m} {amount(median(raw[m][peer]))} {MEASURES[m].unit}" for m in measures if peer in raw.get(m, {})]
        yield f"{peer:31} " + ", ".join(figures)


def scenario_table(raw: dict[str, Any], scenario: str) -> str:
    """Median, spread and ratio (Millpond's pool over the peer, round by round) of each measure and peer."""
    rows = [["", "measure", "median", "lowest", "highest", "unit", "millpond Pool / this"]]
    for measure, facts in MEASURES.items():
        by_peer = raw.get(measure, {}) if facts.scenario == scenario else {}
        for peer, figures in sorted(by_peer.items(), key=lambda item: median(item[1]), reverse=facts.more_is_better):
            spread = [amount(figure) for figure in (median(figures), min(figures), max(figures))]
            against = f"{ratio(by_peer[POOL], figures):.2f}" if POOL in by_peer and peer != POOL else ""
            rows.append([peer, measure, *spread, facts.unit, against])
    return markdown(rows)


def targets_table(raw: dict[str, Any]) -> str:
    rows = [["measure", "who", "target", "measured", "reached"]]
    for target in TARGETS:
        found = reached(target, raw)
        figure = f"{found[0]:.2f}" if found else "not measured"
        rows.append([target.measure, target.who, str(target), figure, ("yes" if found[1] else "no") if found else ""])
    return markdown(rows)


def losses_table(raw: dict[str, Any]) -> str:
    """Every measure and peer that beats Millpond's pool."""
    rows = [["who", "measure", "theirs", "millpond Pool", "unit"]]
    for measure, facts in MEASURES.items():
        ours = raw.get(measure, {}).get(POOL)
        for peer, figures in raw.get(measure, {}).items() if ours else ():
            if peer != POOL and (ratio(ours, figures) < 1) == facts.more_is_better:
                rows.append([peer, measure, amount(median(figures)), amount(median(ours)), facts.unit])
    return markdown(rows) if len(rows) > 1 else "Nothing measured here."


def machine_text(result: dict[str, Any]) -> str:
    facts = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    return (
        f"{facts['cores']} cores ({facts['processor']}), {facts['memory_gib']} GiB, Linux {facts['kernel']}, "
        f"Python {facts['python']}; {packages}.\n{result['date']}, {result['workers']} workers, {result['rounds']} "
        f"rounds, load before the run {facts['load_before']}. Raw data: "
        f"`benchmarks/results/{result['date']}.json`."
    )


def parts(result: dict[str, Any]) -> dict[str, str]:
    """What goes between the markers, by their names."""
    raw = result["raw"]
    found = {"machine": machine_text(result), "targets": targets_table(raw), "losses": losses_table(raw)}
    found |= {scenario.name: scenario_table(raw, scenario.name) for scenario in SCENARIOS}
    failures = [f"- {where}: {why}" for where, why in result["failures"].items()]
    return found | {"failures": "\n".join(failures) or "None."}


def filled(page: str, found: dict[str, str]) -> str:
    """The page with each part put between its markers; raises if the page lacks one."""
    for name, text in found.items():
        between = re.compile(f"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not between.search(page):
            raise ValueError(f"the page has no place for {name!r}")
        page = between.sub(lambda match, text=text: f"{match[1]}\n{text}\n\n{match[2]}", page, count=1)
    return page


def comparison_table(raw: dict[str, Any]) -> str:
    """The README's: each pool a row, the medians of a few measures as columns."""
    rows = [["", *(f"{measure}, {MEASURES[measure].unit}" for measure in COMPARED)]]
    for peer in POOLS:
        medians = [amount(median(raw[measure][peer])) if peer in raw.get(measure, {}) else "" for measure in COMPARED]
        if any(medians):
            rows.append([peer, *medians])
    return markdown(rows)


def comparison_text(result: dict[str, Any]) -> str:
    facts = result["machine"]
    when = f"{result['date']}; medians of {result['rounds']} rounds."
    return f"{facts['cores']} cores, Python {facts['python']}, {when}\n\n{comparison_table(result['raw'])}"


def verdicts(result: dict[str, Any]) -> list[str]:
    return targets_table(result["raw"]).splitlines()


def write(result: dict[str, Any], root: Path = ROOT) -> None:
    """Fill both pages; the README's figures are some of the other's."""
    for path, found in (
        (root / "docs" / "performance.md", parts(result)),
        (root / "README.md", {"comparison": comparison_text(result)}),
    ):
        path.write_text(filled(path.read_text(), found))


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_text()))
