"""The TOML file of a server: options of the server at its top, one table for each pool.

What is wrong in it is told with the file's name and, where it can be found, the line.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millpond import Pool, Slo, Warmup
from millpond.cli.exit_codes import USAGE
from millpond.cli.serve.options import ServerOptions
from millpond.cli.terminal import exit_with
from millpond.http.server.limits import Limits
from millpond.settings import FIELDS, nearest

SERVER = tuple(field.name for part in (ServerOptions, Limits) for field in dataclasses.fields(part))
OF_POOL = ("handler", "args", "kwargs", "profile", *FIELDS)
OF_SLO = tuple(field.name for field in dataclasses.fields(Slo))
OF_WARMUP = ("operation", "imports", "args", "kwargs", "deadline", "required")
POOLS = "pools"
# What pools go by here unless somebody says otherwise. Nothing that a worker sends is unpickled. And workers that look
# for the next call before they sleep take the core that the server needs: answers a second and their 99th percentile
# are better without.
BESIDE_A_SERVER: Mapping[str, Any] = {"codec": "msgpack", "busy_poll": 0.0}


class WrongConfiguration(Exception):
    """What is wrong in the file or the options, as a sentence."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says."""

    path: str
    text: str
    server: Mapping[str, Any]
    pools: Mapping[str, Mapping[str, Any]]

    def wrong(self, why: object, table: tuple[str, ...], key: str | None = None) -> WrongConfiguration:
        """The error about a key of a table, or about the table."""
        line = line_of(self.text, table, key)
        return WrongConfiguration(f"{self.path}{f':{line}' if line else ''}: {why}")


NOTHING = Configuration("", "", {}, {})


def read(path: str | Path) -> Configuration:
    """Read a file. Raises `WrongConfiguration` for what is no TOML and for unknown keys."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        told = tomllib.loads(text)
    except OSError as error:
        raise WrongConfiguration(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongConfiguration(f"{path} is no TOML: {error}") from None
    pools = told.pop(POOLS, {})
    found = Configuration(str(path), text, told, pools)
    _check_keys(found, told, (*SERVER, POOLS), ())
    if not isinstance(pools, dict) or not all(isinstance(pool, dict) for pool in pools.values()):
        raise found.wrong("pools are tables, such as [pools.reader]", (), POOLS)
    for name, pool in pools.items():
        _check_keys(found, pool, OF_POOL, (POOLS, name))
    return found


def read_or_exit(path: str | Path) -> Configuration:
    """Read a file; what is wrong with it ends the program with a sentence."""
    try:
        return read(path)
    except WrongConfiguration as error:
        exit_with(str(error), USAGE)


def _check_keys(found: Configuration, keys: Mapping[str, Any], known: tuple[str, ...], table: tuple[str, ...]) -> None:
    for key in keys:
        if key.replace("-", "_") not in known:
            where = f"of [{'.'.join(table)}]" if table else "of the server"
            raise found.wrong(f"unknown key {key!r} {where}; did you mean {nearest(key, known)!r}?", table, key)


def line_of(text: str, table: tuple[str, ...], key: str | None = None) -> int | None:
    """The line on which a table has a key, or begins; `None` if it is not written in the usual way."""
    inside: tuple[str, ...] = ()
    begin = None
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[{1,2}\s*([^\[\]]+?)\s*\]", line):
            inside = tuple(part.strip(" \t\"'") for part in head[1].split("."))
            if inside == table:
                begin = number
                if key is None:
                    return begin
            elif key is not None and inside[: len(table) + 1] == (*table, key):
                return number
        elif key is not None and inside == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    return begin


def make_pool(name: str, told: Mapping[str, Any], given: Mapping[str, Any], found: Configuration) -> Pool:
    """A pool of what the file tells about it and what was given beside. Raises `WrongConfiguration`."""
    told = {key.replace("-", "_"): value for key, value in told.items()}
    settings = {**BESIDE_A_SERVER, **told, **given}
    handler = settings.pop("handler", None)
    table = (POOLS, name)
    if handler is None:
        raise found.wrong(f"the pool {name!r} has no handler, such as handler = 'module:Class'", table)
    try:
        _build_values(settings)
        return Pool(handler, name=name, **settings)
    except (TypeError, ValueError) as error:
        key = re.split(r"[^A-Za-z0-9_]", str(error), maxsplit=1)[0]
        if name in found.pools and key in told:
            raise found.wrong(error, table, key) from None
        raise WrongConfiguration(f"pool {name!r}: {error}") from None


def _build_values(settings: dict[str, Any]) -> None:
    """Make what TOML cannot write from what stands for it."""
    if "args" in settings:
        settings["args"] = _array("args", settings["args"])
    if isinstance(slo := settings.get("slo"), dict):
        _check_parts("slo", slo, OF_SLO)
        settings["slo"] = Slo(**slo)
    if "warmup" in settings:
        settings["warmup"] = [_warmup(one) for one in _array("warmup", settings["warmup"])]
    if isinstance(settings.get("warm_strategy"), str):
        settings["warm_strategy"] = _named(settings["warm_strategy"])


def _array(key: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{key} is an array, not {value!r}")
    return tuple(value)


def _check_parts(key: str, parts: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for part in parts:
        if part not in known:
            raise TypeError(f"{key} has no {part!r}; did you mean {nearest(part, known)!r}?")


def _warmup(told: object) -> Warmup:
    if not isinstance(told, dict):
        raise TypeError(f"warmup is made of tables, such as {{ operation = 'read' }}, not of {told!r}")
    _check_parts("warmup", told, OF_WARMUP)
    how = {part: told[part] for part in ("deadline", "required") if part in told}
    if imports := told.get("imports"):
        return Warmup.imports(imports, **how)
    return Warmup(told.get("operation", ""), *told.get("args", ()), **how, **told.get("kwargs", {}))


def _named(name: str) -> Any:
    """What `module:name` leads to."""
    from importlib import import_module

    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"warm_strategy {name!r} is not there: {error}") from None
