"""Reads traffic from files: CSV with named columns, JSON lines, or counts a second; gzipped as well.

Every row is checked. What is wrong is said with the file and the line, and nothing is passed over but empty lines.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from millpond.simulator.durations import Duration
from millpond.simulator.traffic import NO_SESSION, OPERATION, Traffic

Format = Literal["csv", "jsonl", "counts"]
Row = dict[str, Any]  # our column -> what the file has there; `None` or empty for nothing

NUMBERS, NAMES = ("arrival_s", "service_s", "think_s"), ("session", "operation")
COLUMNS = (*NUMBERS, *NAMES)
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "counts", ".counts": "counts"}
GZIP = b"\x1f\x8b"
MOST_S = 1e10  # three centuries; beyond, times are too coarse to be told apart
SHOWN = 60  # characters of what is wrong
MOST_A_SECOND = 1_000_000  # calls; more in a row of counts is taken for a mistake


class TraceError(ValueError):
    """A file that cannot be read as traffic: `file:line: what is wrong`."""

    def __init__(self, path: object, line: int, what: str) -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}")


def read_traffic(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    service: Duration | None = None,
    format: Format | None = None,
    seed: int = 0,
) -> Traffic:
    """The traffic of a file. Raises `TraceError` for what cannot be read, `ValueError` for an unknown column or format.

    `columns` maps ours (`arrival_s`, `service_s`, `think_s`, `session`, `operation`) to the file's. `service` is how
    long requests take of which the file does not say; times that are not there are drawn with `seed`. Without `format`
    it is told by the file's name: JSON lines, counts a second, else CSV.
    """
    names = {name: name for name in COLUMNS}
    for ours, theirs in (columns or {}).items():
        if ours not in names:
            raise ValueError(f"there is no column {ours!r} to be mapped; there are {', '.join(COLUMNS)}")
        names[ours] = theirs
    if format is not None and format not in get_args(Format):
        raise ValueError(f"there is no format {format!r}; there are {', '.join(get_args(Format))}")
    suffixes = [suffix for suffix in Path(path).suffixes if suffix != ".gz"]
    format = format or SUFFIXES.get(suffixes[-1] if suffixes else "", "csv")
    random = np.random.default_rng(seed)
    try:
        with open(path, "rb") as file:
            lines = _Lines(path, file)
            if format == "counts":
                return _from_counts(lines, service, random)
            rows = _csv_rows(lines, names) if format == "csv" else _json_rows(lines, names)
            return _from_rows(lines, rows, names, service, random)
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(path, 0, getattr(error, "strerror", None) or f"cannot be read: {error}") from error


class _Lines:
    """The lines of a file, and the number of the one that was read last."""

    def __init__(self, path: str | Path, file: BufferedReader) -> None:
        self.path = path
        self.number = 0
        is_gzip = file.peek(2).startswith(GZIP)  # a pipe cannot be read again from its beginning
        self._file: Iterable[bytes] = gzip.GzipFile(fileobj=file) if is_gzip else file

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.number += 1
            try:
                yield line.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self.error("is not UTF-8") from error

    def error(self, what: str, line: int | None = None) -> TraceError:
        return TraceError(self.path, self.number if line is None else line, what)


def _csv_rows(lines: _Lines, names: Mapping[str, str]) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise lines.error("has no header", 1)
        header = [name.strip() for name in header]
        places = {ours: header.index(theirs) for ours, theirs in names.items() if theirs in header}
        _check_names(lines, header, names)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise lines.error(f"has {len(cells)} values, and the header names {len(header)} columns")
            yield {ours: cells[place] for ours, place in places.items()}
    except csv.Error as error:
        raise lines.error(f"is no CSV: {error}") from error


def _check_names(lines: _Lines, header: list[str], names: Mapping[str, str]) -> None:
    for ours, theirs in names.items():
        if header.count(theirs) > 1:
            raise lines.error(f"names the column {theirs!r} twice")
        if theirs not in header and (ours != theirs or ours == "arrival_s"):
            raise lines.error(f"has no column {theirs!r}; it has {', '.join(header)}")


def _json_rows(lines: _Lines, names: Mapping[str, str]) -> Iterator[Row]:
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise lines.error(f"is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise lines.error("is no object")
        yield {ours: row[theirs] for ours, theirs in names.items() if theirs in row}


def _from_rows(
    lines: _Lines, rows: Iterator[Row], names: Mapping[str, str], service: Duration | None, random: np.random.Generator
) -> Traffic:
    arrival, took, think = [], [], []
    sessions, operations = _Names(), _Names()
    last = 0.0
    for row in rows:
        at = _number(lines, row, "arrival_s", names)
        if at is None:
            raise lines.error(f"has no {names['arrival_s']}")
        if at < last:
            raise lines.error(f"comes at {at} s, before the row above ({last} s)")
        last = at
        seconds = _number(lines, row, "service_s", names)
        if seconds is None and service is None:
            raise lines.error(f"has no {names['service_s']}, and no service time is given")
        arrival.append(at)
        took.append(math.nan if seconds is None else seconds)
        pause = _number(lines, row, "think_s", names)
        think.append(math.nan if pause is None else pause)
        sessions.add(_name(lines, row, "session", names))
        operations.add(_name(lines, row, "operation", names) or OPERATION)
    if not arrival:
        raise lines.error("has no requests")
    service_s, think_s = np.array(took), np.array(think)
    is_open = np.isnan(service_s)
    if service is not None and is_open.any():
        service_s[is_open] = service.draw(random, int(is_open.sum()))
    return Traffic(
        np.array(arrival),
        service_s,
        np.array(sessions.numbers) if sessions.known else None,
        np.array(operations.numbers) if len(operations.known) > 1 else None,
        think_s if np.isfinite(think_s).any() else None,
        tuple(sessions.known),
        tuple(operations.known),
    )


class _Names:
    """Names by number, in the order in which they were met."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.numbers: list[int] = []

    def add(self, name: str) -> None:
        self.numbers.append(self.known.setdefault(name, len(self.known)) if name else NO_SESSION)


def _number(lines: _Lines, row: Row, column: str, names: Mapping[str, str]) -> float | None:
    """A number of seconds from 0 up, `None` if there is none."""
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= MOST_S:
        bounds = f"up to {MOST_S:.0e}" if number > MOST_S else "from 0 up"
        raise lines.error(f"{names[column]} must be a number of seconds {bounds}, not {_shown(value)}")
    return number


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "that"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _name(lines: _Lines, row: Row, column: str, names: Mapping[str, str]) -> str:
    value = row.get(column)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise lines.error(f"{names[column]} must be a name, not {value!r}")


def _from_counts(lines: _Lines, service: Duration | None, random: np.random.Generator) -> Traffic:
    """One number a line: how many requests come in that second, each at some time of it."""
    if service is None:
        raise ValueError(f"{lines.path} has counts: say how long a request takes")
    counts = []
    for line in lines:
        text = line.strip()
        if not text:
            continue
        is_number = text.isascii() and text.isdigit() and len(text.lstrip("0")) <= len(str(MOST_A_SECOND))
        if not is_number or int(text.lstrip("0") or "0") > MOST_A_SECOND:
            raise lines.error(f"must be a count from 0 to {MOST_A_SECOND:,}, not {_shown(text)}")
        counts.append(int(text.lstrip("0") or "0"))
    seconds = np.repeat(np.arange(float(len(counts))), counts)
    if not len(seconds):
        raise lines.error("has no requests")
    arrival_s = np.sort(seconds + random.random(len(seconds)))
    return Traffic(arrival_s, service.draw(random, len(seconds)))
