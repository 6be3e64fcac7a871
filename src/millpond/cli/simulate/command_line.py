"""The arguments of `millpond simulate`, as they are written; no more is imported for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

Several = Parameter(consume_multiple=True, negative_iterable="")
Share = Parameter(validator=Number(gte=0, lte=1))
Positive = Parameter(validator=Number(gt=0))


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What is simulated, by which policies, and how it is shown.

    Parameters
    ----------
    cold
        Seconds a cold start takes, exactly; or `exponential:MEAN`, `lognormal:MEAN[:SIGMA]`. Several are compared.
    wait
        The objective: seconds a request may wait until it begins.
    share
        The objective: the share of requests that may not wait longer.
    min
        Workers kept at least.
    max
        Workers at most.
    mode
        `prompt`: nobody waits on purpose for a worker that could be started; `economy`: within the objective.
    policy
        Names of policies, or classes as `module:Class`. Several are compared.
    score_from
        The part of the time of the last request that is not scored; the policy learns meanwhile.
    seed
        Of everything that is drawn.
    deadline
        Seconds until a request is given up, or `none`.
    setting
        A setting of the pool, as `affinity=hint`. Several may be given.
    service
        Seconds a request takes, where the traffic does not say; in the forms of `--cold`.
    column
        A column of the file under another name, as `arrival_s=time`. Several may be given.
    format
        How the file is written; without it the name tells, and what ends in nothing known is CSV.
    time
        Stretch the traffic: arrivals, service and think times.
    rate
        Multiply the number of requests.
    failing
        Share of the requests that raise.
    dying
        Share of the requests that take their worker with them.
    start_failing
        Share of the starts that fail.
    validate
        Run a real pool on the same traffic as well, and show both.
    speed
        How many times faster than its time the real pool is driven.
    json
        Print one JSON array, an object for each policy and cold start, and nothing else.
    report
        Write an HTML page with charts of demand, workers and waits.
    """

    cold: Annotated[list[str], Several]
    wait: Annotated[float, Parameter(validator=Number(gte=0))] = 1.0
    share: Annotated[float, Share] = 0.99
    min: Annotated[int, Parameter(validator=Number(gte=0, lte=1024))] = 0
    max: Annotated[int, Parameter(validator=Number(gte=1, lte=1024))] = 64
    mode: Literal["economy", "prompt"] = "prompt"
    policy: Annotated[list[str], Several] = field(default_factory=lambda: ["rehearsal"])
    score_from: Annotated[float, Share] = 0.2
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0
    deadline: str = "none"
    setting: Annotated[list[str], Several] = field(default_factory=list)
    service: str | None = None
    column: Annotated[list[str], Several] = field(default_factory=list)
    format: Literal["csv", "jsonl", "counts"] | None = None
    time: Annotated[float, Positive] = 1.0
    rate: Annotated[float, Positive] = 1.0
    failing: Annotated[float, Share] = 0.0
    dying: Annotated[float, Share] = 0.0
    start_failing: Annotated[float, Share] = 0.0
    validate: Annotated[bool, Parameter(negative="")] = False
    speed: Annotated[float, Positive] = 1.0
    json: Annotated[bool, Parameter(negative="")] = False
    report: Path | None = None
