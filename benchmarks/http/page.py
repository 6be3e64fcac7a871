"""The tables of `docs/performance.md` on serving over HTTP, made of raw results.

`python -m benchmarks.http.page` writes them again.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from benchmarks.http.goals import Results, verdicts
from benchmarks.http.programs import MILLPOND
from benchmarks.table import ROOT, amount, filled, markdown
from benchmarks.targets import ratio

RESULTS = ROOT / "benchmarks" / "results" / "http.json"
PAGE = ROOT / "docs" / "performance.md"
REACHED = {True: "yes", False: "no", None: "not measured"}


def parts(results: Results) -> dict[str, str]:
    """What goes between the markers of the page, by their names; only of what was measured."""
    found = {"http machine": machine_text(results), "http goals": goals_table(results)}
    tables = {"rates": rates_table, "tails": tails_table, "layers": layers_table, "stages": stages_table}
    return found | {f"http {name}": make(results) for name, make in tables.items() if name in results}


def machine_text(results: Results) -> str:
    facts = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    return (
        f"{facts['cores']} cores ({facts['processor']}), Linux {facts['kernel']}, Python {facts['python']}; "
        f"{packages}.\n{results['date']}, {results['rounds']} rounds of {results['seconds']:g} s, load before the run "
        f"{facts['load_before']}. Raw data: `benchmarks/results/http.json`."
    )


def goals_table(results: Results) -> str:
    rows = [["measure", "held to", "measured", "reached"]]
    rows += [[one.about, one.held_to, one.measured, REACHED[one.is_reached]] for one in verdicts(results)]
    return markdown(rows)


def rates_table(results: Results) -> str:
    """Requests a second: median, lowest and highest round, and Millpond's over this, round by round."""
    rows = [["", "requests/s", "lowest", "highest", "p50, ms", "p99, ms", "others, %", "millpond serve / this"]]
    rates = results["rates"]
    for name, raw in sorted(rates.items(), key=lambda item: -median(item[1]["rate"])):
        spread = [amount(figure) for figure in (median(raw["rate"]), min(raw["rate"]), max(raw["rate"]))]
        waits = [amount(median(raw[quantile])) for quantile in ("p50", "p99")]
        waits.append(f"{100 * median(raw['others']):.0f}")
        against = "" if name == MILLPOND else f"{ratio(rates[MILLPOND]['rate'], raw['rate']):.2f}"
        rows.append([name, *spread, *waits, against])
    return markdown(rows)


def tails_table(results: Results) -> str:
    rows = [
        [
            "",
            "p50, ms",
            "p99, ms",
            "p99.9, ms",
            "found no connection free, %",
            "client itself late, p99, ms",
            "others, %",
        ]
    ]
    for name, raw in results["tails"]["servers"].items():
        figures = [amount(median(raw[measure])) for measure in ("p50", "p99", "p999")]
        waited = sum(raw["found_none_free"]) / sum(raw["sent"])
        rows.append(
            [
                name,
                *figures,
                f"{100 * waited:.2f}",
                amount(median(raw["late_p99"])),
                f"{100 * median(raw['others']):.0f}",
            ]
        )
    return markdown(rows)


def layers_table(results: Results) -> str:
    """What each layer adds to the processor time of a request in the server's process, pair by pair."""
    rows = [["with or without", "us a request", "difference, us", "lowest", "highest", "rate, x"]]
    for name, pair in results["layers"].items():
        base, other = pair["base"], pair["other"]
        added = [b - a for a, b in zip(base["cpu"], other["cpu"], strict=True)]
        spread = [f"{figure:+.1f}" for figure in (median(added), min(added), max(added))]
        rows.append([name, f"{median(other['cpu']):.1f}", *spread, f"{ratio(other['rate'], base['rate']):.2f}"])
    return markdown(rows)


def stages_table(results: Results) -> str:
    stages = results["stages"]
    rows = [["stage", "us a request", "share, %"]]
    for name, figure in stages["us"].items():
        rows.append([name, f"{figure:.1f}", f"{100 * figure / stages['all_us']:.0f}"])
    return markdown(rows)


def write(results: Results, page: Path = PAGE) -> None:
    """Fill the page."""
    page.write_text(filled(page.read_text(), parts(results)))


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text()))
