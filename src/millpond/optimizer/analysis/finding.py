"""A finding: something that is so of the load, in one sentence, with its numbers and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """`confidence` goes from 0, a guess, to 1; `numbers` are named with their units."""

    name: str
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkloadAnalysis:
    """What was found in `span_s` seconds up to `at`. A finding that needs more than was seen is not there."""

    at: float
    span_s: float
    findings: tuple[Finding, ...] = ()

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __contains__(self, name: str) -> bool:
        return any(one.name == name for one in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name. Raises `KeyError` if nothing of the kind was found."""
        for one in self.findings:
            if one.name == name:
                return one
        raise KeyError(name)
