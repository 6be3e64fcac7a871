"""What a handler may say of its own: names, measurements and metadata as they travel, checked at both ends.

The worker checks to tell its author what is wrong, the parent because it does not believe a worker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias

from millpond.seams import RESERVED_EVENTS

NAME_LENGTH = 100
TEXT_LENGTH = 200  # characters of a text; what is longer is cut
ENTRIES = 32  # measurements, and as much metadata

Number: TypeAlias = int | float
Plain: TypeAlias = str | int | float | bool | None

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_LARGEST = 2**63  # what fits into an integer on the wire; a larger one becomes a float


def check_name(name: object) -> str:
    """The name, if it is one. Raises `TypeError` or `ValueError`."""
    if not isinstance(name, str):
        raise TypeError(f"an event's name is a string, not {name!r}")
    if len(name) > NAME_LENGTH or not _NAME.fullmatch(name):
        near = f"handler.{name}"
        hint = f"; it needs a dot, as in {near!r}" if "." not in name and _NAME.fullmatch(near) else ""
        raise ValueError(
            f"{name[:NAME_LENGTH]!r} is no event's name: words of small letters, digits and _ with dots between, "
            f"{NAME_LENGTH} characters at most{hint}"
        )
    if name.partition(".")[0] in RESERVED_EVENTS:
        taken = ", ".join(sorted(RESERVED_EVENTS))
        raise ValueError(f"{name!r} begins like the pool's own events ({taken}); give yours another name")
    return name


def measured(values: Mapping[str, Any]) -> dict[str, Number]:
    """Measurements as they travel: numbers, numpy's too. Raises `TypeError` or `ValueError` for anything else."""
    return {_key(key, values): _number(key, value) for key, value in values.items()}


def described(values: Mapping[str, Any]) -> dict[str, Plain]:
    """Metadata as it travels: texts (cut at 200 characters), numbers, booleans, `None`. Raises as `measured`."""
    return {_key(key, values): _plain(key, value) for key, value in values.items()}


def _key(key: object, values: Mapping[str, Any]) -> str:
    if not isinstance(key, str) or len(key) > NAME_LENGTH:
        raise TypeError(f"names of measurements and metadata are short strings, not {key!r}")
    if len(values) > ENTRIES:
        raise ValueError(f"an event has {ENTRIES} measurements, and as much metadata, at most, not {len(values)}")
    return key


def _number(key: str, value: Any) -> Number:
    if isinstance(value, Integral) and abs(int(value)) < _LARGEST:
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a measurement is a number; {key!r} is {type(value).__name__}")


def _plain(key: str, value: Any) -> Plain:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value if len(value) <= TEXT_LENGTH else value[: TEXT_LENGTH - 1] + "…"
        return text.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Real):
        return _number(key, value)
    raise TypeError(f"metadata is text, number, boolean or None; {key!r} is {type(value).__name__}")
