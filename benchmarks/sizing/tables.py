"""The tables of the page: what the sizing is held to, each cell in both modes, the peers, and where we lose."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.families import FAMILIES
from benchmarks.sizing.cells import KINDS, Cell
from benchmarks.sizing.figures import Figures, Interval, Results, attainment, met, middle, worker_s
from benchmarks.sizing.goals import verdicts
from benchmarks.sizing.runs import DIRECT, OURS, shipped_peers
from benchmarks.sizing.store import Store
from benchmarks.table import ROOT, Row, filled, markdown
from millpond.optimizer import Mode

PAGE = ROOT / "docs" / "performance.md"


def parts(store: Store, cells: Sequence[Cell], policy: str) -> dict[str, str]:
    """What goes between the markers of the page, by their names."""
    results = Results(store, cells, policy)
    found = {mode: [results.figures(cell, mode) for cell in results.cells] for mode in OURS}
    return {
        "sizing machine": machine_text(store),
        "sizing traffic": traffic_table(results),
        "sizing goals": goals_table(results),
        **{f"sizing {mode}": cells_table(figures) for mode, figures in found.items()},
        "sizing peers": peers_table(results),
        "sizing tuned": tuned_table(results),
        "sizing losses": losses_table(found),
    }


def write(found: dict[str, str]) -> None:
    """Fill the page."""
    PAGE.write_text(filled(PAGE.read_text(), found))


def machine_text(store: Store) -> str:
    facts = store.facts
    return (
        f"{facts['cores']} cores ({facts['processor']}), Python {facts['python']}, numpy {facts['packages']['numpy']}, "
        f"{facts['date']}, policy `{facts['policy']}`. Raw data: `benchmarks/results/sizing.json`."
    )


def traffic_table(results: Results) -> str:
    kinds = {cell.kind for cell in results.cells}
    rows = [["traffic", "what it is", "seeds"]]
    rows += [[kind.name, kind.told, str(len(kind.seeds))] for kind in KINDS if kind.name in kinds]
    return markdown(rows)


def goals_table(results: Results) -> str:
    words = {True: "yes", False: "no", None: "not measured"}
    rows = [["figure", "held to", "measured", "cells", "reached"]]
    for one in verdicts(results):
        measured = one.measured if one.is_reached is not None else ""
        rows.append([one.about, one.wanted, measured, str(one.cells), words[one.is_reached]])
    return markdown(rows)


def cells_table(figures: Sequence[Figures]) -> str:
    """One mode; ratios of worker-seconds but where it says starts."""
    families = [family.name for family in FAMILIES]
    head = ["traffic", "L, s", "met, %", "(95 %)", "p50 wait, s", "p99 wait, s", "clairvoyant", "(95 %)", "starts"]
    rows = [[*head, "shipped", "best tuned", *families]]
    rows += [_cell_row(one, families) for one in figures]
    return markdown(rows)


def _cell_row(one: Figures, families: Sequence[str]) -> Row:
    return [
        one.cell.kind,
        f"{one.cell.cold_s:g}",
        f"{100 * one.attainment:.2f}" if one.is_met else f"**{100 * one.attainment:.2f}**",
        _interval(one.attainment_interval, 100),
        _seconds(one.wait_p50),
        _seconds(one.wait_p99),
        f"{one.clairvoyant:.2f}",
        _interval(one.clairvoyant_interval, 1),
        _ratio(one.starts),
        _ratio(one.shipped),
        _ratio(one.best),
        *(_ratio(one.tuned[name]) for name in families),
    ]


def _interval(interval: Interval, factor: float) -> str:
    low, high = interval
    return "" if low == high else f"{factor * low:.2f} to {factor * high:.2f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.3f}"


def peers_table(results: Results) -> str:
    """Each peer as it is shipped, over all cells."""
    rows = [["as shipped", "keeps the objective", "lowest, %", "worker-seconds over ours, median", "highest"]]
    for name in shipped_peers():
        found = {cell: peers for cell in results.cells if (peers := results.shipped(cell, name))}
        if not found:
            continue
        over = [worker_s(peers) / worker_s(results.ours(cell, "economy")) for cell, peers in found.items()]
        kept = sum(met(peers) for peers in found.values())
        lowest = min(attainment(peers) for peers in found.values())
        label = f"{name} (baseline of starts)" if name == DIRECT else name
        row = [label, f"{kept} of {len(found)}", f"{100 * lowest:.1f}", f"{middle(over):.2f}", f"{max(over):.2f}"]
        rows.append(row)
    return markdown(rows)


def tuned_table(results: Results) -> str:
    """Each family tuned in hindsight: in how many cells it can keep the objective, and ours over it by cold start."""
    colds = sorted({cell.cold_s for cell in results.cells})
    rows = [["tuned in hindsight", "can keep the objective", *(f"L = {cold:g} s" for cold in colds)]]
    for family in FAMILIES:
        found = {cell: result for cell in results.cells if (result := results.tuned(cell, family.name))}
        by_cold = []
        for cold in colds:
            ours = {cell: results.ours(cell, "economy")[0].worker_s for cell in found if cell.cold_s == cold}
            ratios = [cost / found[cell].worker_s for cell, cost in ours.items()]
            by_cold.append(f"{middle(ratios):.2f}" if ratios else "")
        rows.append([family.name, f"{len(found)} of {len(results.cells)}", *by_cold])
    return markdown(rows)


def losses_table(found: dict[Mode, list[Figures]]) -> str:
    """The cells in which some family, tuned on them, is cheaper than we are, or we miss the objective; worst first."""
    rows = [["traffic", "L, s", "mode", "met, %", "dearer than the best tuned", "who that is"]]
    for one in sorted((one for figures in found.values() for one in figures), key=lambda one: -(one.best or 0)):
        if not one.is_met or (one.best or 0) > 1.0:
            known = {name: ratio for name, ratio in one.tuned.items() if ratio is not None}
            who = max(known, key=lambda name: known[name]) if known else ""
            dearer = f"{one.best - 1:+.0%}" if one.best is not None else ""
            met_ = f"{100 * one.attainment:.2f}"
            rows.append([one.cell.kind, f"{one.cell.cold_s:g}", one.mode, met_, dearer, who])
    return markdown(rows) if len(rows) > 1 else "Nowhere, in these cells."
