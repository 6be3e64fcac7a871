"""Labels of series and what is done with them: sorted pairs, the metric's name under `__name__`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]
NAME = "__name__"
_FNV_START, _FNV_PRIME, _SEPARATOR = 0xCBF29CE484222325, 0x100000001B3, b"\xff"


class Sample(NamedTuple):
    """One element of a vector."""

    labels: Labels
    value: float


Vector = list[Sample]


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Sorted, and without the empty ones: an empty label is one that is not there."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def only(labels: Labels, names: Collection[str]) -> Labels:
    """The labels with these names."""
    return tuple(pair for pair in labels if pair[0] in names)


def without(labels: Labels, names: Collection[str]) -> Labels:
    """The labels with other names than these, and never the metric's."""
    return tuple(pair for pair in labels if pair[0] != NAME and pair[0] not in names)


def unnamed(labels: Labels) -> Labels:
    """The labels without the metric's name."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def text_of(labels: Labels) -> str:
    """As Prometheus writes them: `name{label="value"}`."""
    inside = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in unnamed(labels))
    return f"{dict(labels).get(NAME, '')}{{{inside}}}"


def fingerprint(labels: Labels) -> str:
    """FNV-1a over names and values, 16 hexadecimal digits: the same that Prometheus and Alertmanager compute.

    Source of the function: Fowler, Noll and Vo, http://www.isthe.com/chongo/tech/comp/fnv/.
    """
    state = _FNV_START
    for pair in labels:
        for part in pair:
            for byte in part.encode() + _SEPARATOR:
                state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"
