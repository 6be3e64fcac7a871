"""Events as text that cannot lie: one line or one JSON record, whatever stands in their fields.

What would end a line, move the cursor, hide itself or turn the direction of reading is written as an escape. Nothing
here raises because of a value. Used by the logging listener.
"""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import re
from collections.abc import Mapping
from typing import Any

from millpond.events import Event, UserEvent
from millpond.logger.escaping import escaped

TEXT_LIMIT = 8192  # characters of one value
DEPTH = 3  # of containers in a user's metadata
BITS = 64  # a longer integer is not written out: above some 14,000 bits Python refuses to
# Fields that repeat what a handler or its libraries wrote: shown only if asked for.
TEXT_FIELDS = frozenset({"message"})
# What a record says of itself, and what structlog's processors look for: a user's key of that name gets a "_".
RESERVED = frozenset(
    {"time", "level", "event", "pool", "logger", "timestamp", "exception", "exc_info", "stack_info", "stack"}
    | {"positional_args", "_record", "_from_structlog", "_logger", "_name"}
)

_known_fields: dict[type[Event], tuple[str, ...]] = {}
_BARE = re.compile(r"[A-Za-z0-9_.:/@+()-]+")


def facts(event: Event, show_text: bool = False) -> dict[str, Any]:
    """What an event says, field by field, without what is not known; a user's measurements and metadata come last."""
    own = {name: value for name in _fields(type(event)) if (value := getattr(event, name)) is not None}
    if not show_text:
        own = {name: value for name, value in own.items() if name not in TEXT_FIELDS}
    if isinstance(event, UserEvent):
        if not own["suppressed"]:
            del own["suppressed"]
        for key, value in [*event.measurements.items(), *event.metadata.items()]:
            own[_free(key, own)] = value
    return {key: plain(value) for key, value in own.items()}


def as_line(name: str, said: Mapping[str, Any]) -> str:
    """`name key=value ...`, with quotes around what is no plain word."""
    return " ".join([_word(name), *(f"{_word(key)}={_shown(value)}" for key, value in said.items())])


def as_json(said: Mapping[str, Any]) -> str:
    """One JSON object on one line."""
    return escaped(json.dumps(said, ensure_ascii=False, allow_nan=False))


def plain(value: Any, depth: int = DEPTH) -> Any:
    """The value in what JSON knows; a thing it does not know by its type."""
    if isinstance(value, str):
        text = str.__str__(value)
        return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}... {len(text) - TEXT_LIMIT} more"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, numbers.Real):  # numpy's too
        return _number(int(value) if isinstance(value, numbers.Integral) else float(value))
    if depth and isinstance(value, Mapping):
        return {str(plain(key, 0)): plain(one, depth - 1) for key, one in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [plain(one, depth - 1) for one in value]
    return f"<{type(value).__name__}>"


def _number(value: int | float) -> int | float | str:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value.bit_length() <= BITS else f"<integer of {value.bit_length()} bits>"


def _free(key: Any, taken: Mapping[str, Any]) -> str:
    name = str(plain(key, 0))
    while name in taken or name in RESERVED:
        name += "_"
    return name


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return escaped(json.dumps(value, ensure_ascii=False))


def _word(text: str) -> str:
    return text if _BARE.fullmatch(text) else escaped(json.dumps(text, ensure_ascii=False))


def _fields(kind: type[Event]) -> tuple[str, ...]:
    """The names of the fields to be said as they are."""
    if kind not in _known_fields:
        left_out = {"name", "measurements", "metadata"} if kind is UserEvent else set()
        _known_fields[kind] = tuple(one.name for one in dataclasses.fields(kind) if one.name not in left_out)
    return _known_fields[kind]
