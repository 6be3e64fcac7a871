"""What a round of warm-up did: per command, per worker, and in total; and its progress while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

WARM, SKIPPED = "ok", "skipped"


@dataclass(frozen=True, slots=True)
class CommandReport:
    """One command in one worker: its outcome (ok, failed, expired, cancelled, lost) and the seconds it took."""

    command: str
    outcome: str
    seconds: float
    required: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One worker: its commands in order, and why it is not warm, if it is not.

    `seconds` is from its turn to its end, waiting for a free slot included.
    """

    worker: int
    commands: tuple[CommandReport, ...]
    seconds: float
    failure: str = ""

    @property
    def is_warm(self) -> bool:
        """Whether everything that had to succeed did."""
        return not self.failure


@dataclass(frozen=True, slots=True)
class Progress:
    """One command is behind a worker: `done` of `of` in the whole round, `seconds` since that began."""

    worker: int
    command: str
    outcome: str
    done: int
    of: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WarmReport:
    """A round: every worker it was for, in the order in which they were through."""

    workers: tuple[WorkerReport, ...]
    seconds: float

    @property
    def warm(self) -> tuple[int, ...]:
        """The workers that are warm."""
        return tuple(one.worker for one in self.workers if one.is_warm)

    @property
    def failed(self) -> tuple[int, ...]:
        """The workers that are not."""
        return tuple(one.worker for one in self.workers if not one.is_warm)

    @property
    def success_share(self) -> float:
        """Commands that succeeded over all that were given; 1 if none was, 0 if that left a worker cold."""
        outcomes = [one.outcome == WARM for worker in self.workers for one in worker.commands]
        return sum(outcomes) / len(outcomes) if outcomes else float(not self.failed)

    @property
    def failures(self) -> dict[str, int]:
        """Command -> times it did not succeed."""
        found: dict[str, int] = {}
        for one in (one for worker in self.workers for one in worker.commands if one.outcome != WARM):
            found[one.command] = found.get(one.command, 0) + 1
        return found

    def __str__(self) -> str:
        commands = sum(len(one.commands) for one in self.workers)
        return (
            f"{len(self.warm)} of {len(self.workers)} workers warm, {commands} commands, "
            f"{self.success_share:.0%} ok, {self.seconds:.3f} s"
        )
