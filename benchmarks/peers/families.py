"""Each family of peers: how it is shipped, and which values of its knobs are tried in hindsight.

`coarse` is tried first; then steps from the best of them along the `axes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.peers.celery import Celery, CeleryKnobs
from benchmarks.peers.hpa import Hpa, HpaKnobs
from benchmarks.peers.knative import Knative, KnativeKnobs
from benchmarks.peers.on_demand import OnDemand, OnDemandKnobs
from benchmarks.peers.ray_serve import RayKnobs, RayServe
from benchmarks.peers.static import Static, StaticKnobs

TARGETS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FLOORS = (0, 1, 2, 3, 4, 6, 8, 12, 16)
SECONDS = (0.0, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """`make(slo, mode, low, high, knobs=...)` gives a policy. More of an ordered one's only knob never does worse."""

    name: str
    make: Callable[..., Any]
    shipped: Mapping[str, Any]  # name -> knobs
    coarse: Sequence[Any]
    axes: Mapping[str, Sequence[float]]  # knob -> its values, ascending
    knobs: Callable[..., Any]
    is_ordered: bool = False

    def near(self, knobs: Any, axis: str, step: int) -> Any | None:
        """Knobs so many steps away along an axis, `None` beyond its end."""
        values = self.axes[axis]
        place = values.index(getattr(knobs, axis)) + step
        return replace(knobs, **{axis: values[place]}) if 0 <= place < len(values) else None

    def policy(self, knobs: Any) -> Callable[..., Any]:
        """What makes a policy with these knobs."""
        return partial(self.make, knobs=knobs)


STATIC = Family(
    name="static",
    make=Static,
    shipped={},
    coarse=[StaticKnobs(workers=workers) for workers in (2, 4, 8, 16, 32)],
    axes={"workers": tuple(range(1, 65))},
    knobs=StaticKnobs,
    is_ordered=True,
)
ON_DEMAND = Family(
    name="on demand",
    make=OnDemand,
    knobs=OnDemandKnobs,
    shipped={
        "on demand, 60 s": OnDemandKnobs(),
        "on demand, 60 s, 2 spares": OnDemandKnobs(spares=2),
    },
    coarse=[
        OnDemandKnobs(idle_s=idle_s, spares=k) for idle_s, k in itertools.product((0.0, 10.0, 60.0, 300.0), (0, 2))
    ],
    axes={"idle_s": SECONDS, "spares": (0, 1, 2, 3, 4, 6, 8)},
)
RAY = Family(
    name="Ray Serve",
    make=RayServe,
    knobs=RayKnobs,
    shipped={"Ray Serve": RayKnobs()},
    coarse=[
        RayKnobs(target=target, interval_s=2.0, look_back_s=10.0, up_delay_s=0.0, down_delay_s=down_s, minimum=minimum)
        for target, down_s, minimum in itertools.product((0.4, 0.7), (60.0, 300.0), (0, 2))
    ],
    axes={
        "target": (*TARGETS, 1.5, 2.0),
        "look_back_s": (2.0, 10.0, 30.0, 60.0),
        "down_delay_s": SECONDS,
        "minimum": FLOORS,
    },
)
KNATIVE = Family(
    name="Knative KPA",
    make=Knative,
    knobs=KnativeKnobs,
    shipped={"Knative KPA": KnativeKnobs()},
    coarse=[
        KnativeKnobs(target=target, stable_s=stable_s, minimum=minimum)
        for target, stable_s, minimum in itertools.product((0.4, 0.7), (60.0, 300.0), (0, 2))
    ],
    axes={
        "target": TARGETS,
        "stable_s": (6.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0),
        "down_delay_s": SECONDS,
        "minimum": FLOORS,
    },
)
HPA = Family(
    name="Kubernetes HPA",
    make=Hpa,
    knobs=HpaKnobs,
    shipped={"Kubernetes HPA": HpaKnobs()},
    coarse=[
        HpaKnobs(target=target, down_window_s=window_s, minimum=minimum)
        for target, window_s, minimum in itertools.product((0.4, 0.7), (60.0, 300.0), (1, 3))
    ],
    axes={"target": TARGETS, "down_window_s": SECONDS, "minimum": FLOORS[1:]},
)
CELERY = Family(
    name="Celery",
    make=Celery,
    knobs=CeleryKnobs,
    shipped={"Celery": CeleryKnobs()},
    coarse=[
        CeleryKnobs(keepalive_s=keepalive_s, minimum=minimum)
        for keepalive_s, minimum in itertools.product((3.0, 30.0, 300.0), (0, 2))
    ],
    axes={"keepalive_s": SECONDS, "minimum": FLOORS},
)
FAMILIES = (STATIC, ON_DEMAND, RAY, KNATIVE, HPA, CELERY)
