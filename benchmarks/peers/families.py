"""Each family of peers: how it is shipped, and which values of its knobs are tried in hindsight.

Points far apart are tried first, some of them with a part or all of the workers that a fixed size would need; then
steps from the best of them along the `axes`.
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
FLOORS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64)
SECONDS = (0.0, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """`make(slo, mode, low, high, knobs=...)` gives a policy. More of an ordered one's only knob never does worse."""

    name: str
    make: Callable[..., Any]
    knobs: Callable[..., Any]
    shipped: Mapping[str, Any]  # name -> knobs
    coarse: Callable[[int], Sequence[Any]]  # the workers a fixed size would need -> knobs
    axes: Mapping[str, Sequence[float]]  # knob -> its values, ascending
    is_ordered: bool = False

    def near(self, knobs: Any, axis: str, step: int) -> Any | None:
        """Knobs so many steps away along an axis, `None` beyond its end."""
        values = self.axes[axis]
        place = values.index(getattr(knobs, axis)) + step
        return replace(knobs, **{axis: values[place]}) if 0 <= place < len(values) else None

    def policy(self, knobs: Any) -> Callable[..., Any]:
        """What makes a policy with these knobs."""
        return partial(self.make, knobs=knobs)


def half_of(enough: int) -> int:
    """Half of what is enough, of the values that are tried; one at least, so that it is not none."""
    return max(value for value in FLOORS if value <= max(1, enough // 2))


def all_of(enough: int) -> int:
    """What is enough, of the values that are tried."""
    return min(value for value in FLOORS if value >= min(enough, FLOORS[-1]))


def on_demand_points(enough: int) -> list[OnDemandKnobs]:
    points = itertools.product((0.0, 30.0, 120.0, 600.0), (0, 2, half_of(enough)))
    return [OnDemandKnobs(idle_s=idle_s, spares=spares) for idle_s, spares in points]


def ray_points(enough: int) -> list[RayKnobs]:
    points = itertools.product((0.5, 0.7, 0.9), (30.0, 300.0), (0, half_of(enough)))
    return [
        RayKnobs(target=target, interval_s=2.0, look_back_s=30.0, up_delay_s=0.0, down_delay_s=down_s, minimum=floor)
        for target, down_s, floor in (*points, (0.7, 30.0, all_of(enough)))
    ]


def knative_points(enough: int) -> list[KnativeKnobs]:
    points = itertools.product((0.5, 0.7, 0.9), (60.0, 600.0), (0, half_of(enough)))
    return [
        KnativeKnobs(target=target, stable_s=stable_s, minimum=floor)
        for target, stable_s, floor in (*points, (0.7, 60.0, all_of(enough)))
    ]


def hpa_points(enough: int) -> list[HpaKnobs]:
    points = itertools.product((0.5, 0.7, 0.9), (30.0, 300.0), (1, half_of(enough)))
    return [
        HpaKnobs(target=target, down_window_s=window_s, minimum=floor)
        for target, window_s, floor in (*points, (0.7, 30.0, all_of(enough)))
    ]


def celery_points(enough: int) -> list[CeleryKnobs]:
    points = itertools.product((3.0, 30.0, 120.0, 600.0), (0, 2, half_of(enough)))
    return [CeleryKnobs(keepalive_s=s, minimum=floor) for s, floor in (*points, (3.0, all_of(enough)))]


STATIC = Family(
    name="static",
    make=Static,
    knobs=StaticKnobs,
    shipped={},
    coarse=lambda enough: [StaticKnobs(workers=max(1, enough))],
    axes={"workers": tuple(range(1, 65))},
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
    coarse=on_demand_points,
    axes={"idle_s": SECONDS, "spares": FLOORS},
)
RAY = Family(
    name="Ray Serve",
    make=RayServe,
    knobs=RayKnobs,
    shipped={"Ray Serve": RayKnobs()},
    coarse=ray_points,
    axes={
        "target": (*TARGETS, 1.5, 2.0),
        "down_delay_s": SECONDS,
        "minimum": FLOORS,
        "look_back_s": (2.0, 10.0, 30.0, 60.0),
    },
)
KNATIVE = Family(
    name="Knative KPA",
    make=Knative,
    knobs=KnativeKnobs,
    shipped={"Knative KPA": KnativeKnobs()},
    coarse=knative_points,
    axes={
        "target": TARGETS,
        "stable_s": (6.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0),
        "minimum": FLOORS,
        "down_delay_s": SECONDS,
    },
)
HPA = Family(
    name="Kubernetes HPA",
    make=Hpa,
    knobs=HpaKnobs,
    shipped={"Kubernetes HPA": HpaKnobs()},
    coarse=hpa_points,
    axes={"target": TARGETS, "down_window_s": SECONDS, "minimum": FLOORS[1:]},
)
CELERY = Family(
    name="Celery",
    make=Celery,
    knobs=CeleryKnobs,
    shipped={"Celery": CeleryKnobs()},
    coarse=celery_points,
    axes={"keepalive_s": SECONDS, "minimum": FLOORS},
)
FAMILIES = (STATIC, ON_DEMAND, RAY, KNATIVE, HPA, CELERY)
