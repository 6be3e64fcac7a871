"""Prints the tables of settings, errors, events and metrics into their pages, from the modules that define them.

`python docs/tables.py` says which pages are stale, with `--write` it writes them. Text outside the markers is left
alone. `tests/docs/` runs the same check.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import alert_tables
from relatives import FOLLOWS, RELATIVES

from millpond import errors, events
from millpond.executor.executor import UNBOUNDED
from millpond.http.server.limits import Limits
from millpond.metrics import health
from millpond.metrics.catalogue import CATALOGUE
from millpond.metrics.derived import BLAME, DERIVED, Blame
from millpond.metrics.otel_names import ATTRIBUTES, SEMANTIC
from millpond.profiles import PROFILES, OfCores
from millpond.settings import FIELDS, Settings
from millpond.telemetry.logging_listener import LEVELS

DOCS = Path(__file__).parent
SIZES = ((1024 * 1024, "MiB"), (1024, "KiB"))
GROUP = re.compile(r"    # (\w+)$")
FIELD = re.compile(r"    (\w+): ")
INSTRUMENTS = {"gauge": "gauge", "updown": "up-down counter", "counter": "counter", "histogram": "histogram"}
NOT_BOUND = 2**31  # a number of faults no pool will see

Rows = list[list[str]]


def table(rows: Rows) -> str:
    """Rows, the first of them the head, as a markdown table."""
    widths = [max(map(len, [*column, "---"])) for column in zip(*rows, strict=True)]
    ruler = ["-" * width for width in widths]
    lines = [
        " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in [rows[0], ruler, *rows[1:]]
    ]
    return "\n".join(f"| {line} |" for line in lines)


def settings_tables() -> str:
    """One table a group, as the groups stand in the source."""
    return "\n\n".join(
        f"## {group}\n\n" + table([["setting", "default", "values", "live", "meaning"], *map(setting_row, names)])
        for group, names in setting_groups().items()
    )


def setting_groups() -> dict[str, list[str]]:
    """Settings by the comment they stand under; `dataclass` keeps none of that, the source does."""
    groups: dict[str, list[str]] = {}
    for line in inspect.getsource(Settings).splitlines():
        if found := GROUP.match(line):
            names = groups.setdefault(found[1], [])
        elif (found := FIELD.match(line)) and found[1] in FIELDS:
            names.append(found[1])
    return groups


def setting_row(name: str) -> list[str]:
    facts = FIELDS[name].metadata
    meaning = facts["what"].replace("|", "\\|")
    return [f"`{name}`", default(name), values(name), "yes" if facts["live"] else "", meaning]


def default(name: str) -> str:
    field = FIELDS[name]
    if field.default is not dataclasses.MISSING:
        return amount(field.default, field.metadata["unit"])
    return "the cores" if name == "max_workers" else f"`{field.default_factory()!r}`"  # type: ignore[operator]


def amount(value: Any, unit: str) -> str:
    """A value as people write it: sizes in KiB and MiB, seconds with their unit."""
    if unit == "bytes" and isinstance(value, int):
        size, name = next(((s, n) for s, n in SIZES if value >= s and value % s == 0), (1, "bytes"))
        return f"{value // size:,} {name}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,g} {unit}".strip() if unit != "share" else f"{value:g}"
    return f"`{value!r}`" if not isinstance(value, str) else f'`"{value}"`'


def values(name: str) -> str:
    """The choices of a setting, or its bounds."""
    hint, facts = get_type_hints(Settings)[name], FIELDS[name].metadata
    choices = get_args(hint)
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(f'`"{choice}"`' for choice in choices)
    low, high, unit = facts["low"], facts["high"], facts["unit"]
    if low is None:
        return ""
    return f"from {amount(low, unit)}" + (f" to {amount(high, unit)}" if high is not None else "")


def profiles_tables() -> str:
    """One table a profile: what it sets, and why."""
    told = []
    for name, profile in PROFILES.items():
        rows = [["setting", "default", "here", "because"]]
        for setting, (value, reason) in profile.values.items():
            rows.append([f"`{setting}`", default(setting), chosen(setting, value), reason.removesuffix(".")])
        told.append(f"### {name}\n\n{profile.use}" + (f"\n\n{table(rows)}" if profile.values else ""))
    return "\n\n".join(told)


def chosen(setting: str, value: Any) -> str:
    return value.words if isinstance(value, OfCores) else amount(value, FIELDS[setting].metadata["unit"])


def executor_table() -> str:
    """The defaults that an executor changes."""
    rows = [["setting", "pool", "executor"]]
    for name, value in UNBOUNDED.items():
        told = "none" if value is None else amount(value, FIELDS[name].metadata["unit"])
        if value == NOT_BOUND:
            told = "never opens"
        rows.append([f"`{name}`", default(name), told])
    return table(rows)


def limits_table() -> str:
    """What a server lets clients do."""
    rows = [["option", "default", "what"]]
    for field in dataclasses.fields(Limits):
        told = "10,000" if field.default is None else amount(field.default, field.metadata["unit"])
        rows.append([f"`--{field.name.replace('_', '-')}`", told, field.metadata["what"]])
    return table(rows)


def errors_table() -> str:
    rows = [["code", "class", "ending", "outcome", "retry", "HTTP", "meaning"]]
    for code, row in errors.TABLE.items():
        kind = errors.CLASSES[code].__name__
        rows.append([f"`{code}`", f"`{kind}`", row.ending, f"`{row.outcome}`", row.retry, str(row.http), row.meaning])
    return table(rows)


def events_table() -> str:
    rows = [["event", "class", "measurements", "metadata", "said when"]]
    for name, kind in events.EVENTS.items():
        units = events.units(kind)
        measurements = ", ".join(f"`{field}` ({unit})" for field, unit in units.items())
        metadata = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind) if field.name not in units)
        said_when = " ".join((inspect.getdoc(kind) or "").split())
        rows.append([f"`{name}`", f"`{kind.__name__}`", measurements, metadata, said_when])
    return table(rows)


def levels_table() -> str:
    rows = [["level", "events"]]
    for level in sorted(set(LEVELS.values()), reverse=True):
        names = ", ".join(code(name) for name, one in LEVELS.items() if one == level)
        rows.append([logging.getLevelName(level), names + (", your own" if level == logging.DEBUG else "")])
    return table(rows)


def exported_table() -> str:
    rows = [["metric", "kind", "labels", "meaning"]]
    for row in CATALOGUE:
        rows.append([f"`{row.name}`", row.kind, ", ".join(f"`{label}`" for label in row.labels), row.help])
    return table(rows)


def semantic_table() -> str:
    rows = [["metric", "OpenTelemetry", "instrument", "unit", "follows"]]
    for name, said in SEMANTIC.items():
        follows = code(FOLLOWS.get(name, ""))
        rows.append([code(name), code(said.name), INSTRUMENTS[said.instrument], code(said.unit), follows])
    return table(rows)


def attributes_table() -> str:
    return table([["label", "attribute"], *([code(label), code(name)] for label, name in ATTRIBUTES.items())])


def relatives_table() -> str:
    rows = [["Millpond", "OpenTelemetry", "HikariCP", "psycopg_pool"]]
    for one in RELATIVES:
        rows.append([code(one.ours), code(one.otel), code(one.hikari), code(one.psycopg)])
    return table(rows)


def derived_table() -> str:
    return table([["value", "unit", "definition"], *([code(d.name), d.unit, d.definition] for d in DERIVED)])


def blame_table() -> str:
    rows = [["whose", "errors"]]
    for whom in get_args(Blame):
        rows.append([f"`{whom}`", ", ".join(code(name) for name, one in BLAME.items() if one == whom)])
    return table(rows)


def health_table() -> str:
    rows = [["part", "points", "measure", "none lost up to", "all lost from"]]
    for name, part in health.PARTS.items():
        for measure in part.measures:
            points = f"{part.weight / len(part.measures):g}"
            rows.append([code(name), points, measure.what, f"{measure.first:g}", f"{measure.last:g}"])
    return table(rows)


def states_table() -> str:
    return table([["state", "when"], *([code(state), meaning] for state, meaning in health.MEANINGS.items())])


def code(text: str) -> str:
    return f"`{text}`" if text else ""


TABLES: dict[str, tuple[str, Callable[[], str]]] = {  # marker -> page, and what stands there
    "settings": ("settings.md", settings_tables),
    "profiles": ("settings.md", profiles_tables),
    "executor": ("executor.md", executor_table),
    "errors": ("errors.md", errors_table),
    "events": ("events.md", events_table),
    "levels": ("events.md", levels_table),
    "exported": ("exporting.md", exported_table),
    "attributes": ("exporting.md", attributes_table),
    "semantic": ("exporting.md", semantic_table),
    "relatives": ("exporting.md", relatives_table),
    "limits": ("serving.md", limits_table),
    **alert_tables.tables(table),
    "derived": ("metrics.md", derived_table),
    "blame": ("metrics.md", blame_table),
    "health": ("metrics.md", health_table),
    "states": ("metrics.md", states_table),
}


def filled(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers `<!-- name -->` and `<!-- end -->`; raises if it has none."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"the page has no place for {name!r}")
    return between.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page, count=1)


def stale() -> Iterator[tuple[Path, str]]:
    """The pages that do not say what the source says, with the text they should have."""
    for name, (page, make) in TABLES.items():
        path = DOCS / page
        text = path.read_text()
        fresh = filled(text, name, make())
        if fresh != text:
            yield path, fresh


def main() -> None:
    for path, fresh in stale():
        if "--write" not in sys.argv[1:]:
            sys.exit(f"{path.name} is stale: python docs/tables.py --write")
        path.write_text(fresh)


if __name__ == "__main__":
    main()
