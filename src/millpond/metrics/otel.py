"""Pools as observable instruments of OpenTelemetry: read from the snapshot whenever its SDK collects.

Needs the extra `opentelemetry`. The SDK is never on the way of a call: nothing is recorded, everything is observed.
There are no observable histograms, so a distribution appears as two counters here, `.count` and `.sum`; whole ones come
from `otel_histograms`. Which metric has which name is in `otel_names`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

try:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter_provider
except ImportError as error:
    raise ImportError("exporting to OpenTelemetry needs: pip install 'millpond[opentelemetry]'") from error

from millpond.metrics.catalogue import CATALOGUE, Family, Metered, Metric, Metrics, metrics_of, read_all
from millpond.metrics.otel_names import ATTRIBUTES, SEMANTIC, Instrument
from millpond.metrics.readers import Labels

SCOPE = "millpond"
WHOLE = "{"  # units like {call} count things, and so does By
Callback = Callable[[CallbackOptions], Iterable[Observation]]


class PoolInstruments:
    """The metrics of one pool or several as instruments; takes pools, or their collectors of metrics.

    `register` makes the instruments. A pool that is closed keeps its last values; `remove` ends its series.
    """

    def __init__(self, *pools: Metered | Metrics) -> None:
        self._look = _Look([metrics_of(pool) for pool in pools])

    def register(self, provider: MeterProvider | None = None) -> None:
        """Make the instruments with this provider, or the program's; once, as an instrument cannot be taken back."""
        meter = (provider or get_meter_provider()).get_meter(SCOPE)
        for row in CATALOGUE:
            for name, kind, unit, suffix in _instruments(row):
                _create(meter, kind, name, self._observer(name, row.name, suffix, unit), unit, row.help)

    def remove(self, pool: Metered | Metrics) -> None:
        """Observe a pool no more; one that is not observed is no error."""
        self._look.remove(metrics_of(pool))

    def _observer(self, instrument: str, metric: str, suffix: str, unit: str) -> Callback:
        is_whole = unit == "By" or unit.startswith(WHOLE)

        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            for family in self._look.at(instrument, metric):
                for found, labels, value in family.samples:
                    if found == suffix and not math.isnan(value):
                        yield Observation(int(value) if is_whole else value, attributes(labels))

        return observe


def attributes(labels: Labels) -> dict[str, str | float]:
    """Labels as attributes; a quantile is a number there."""
    return {ATTRIBUTES[label]: float(value) if label == "quantile" else value for label, value in labels}


def _instruments(row: Metric) -> Iterator[tuple[str, Instrument, str, str]]:
    """Name, kind, unit and suffix of the samples for each instrument that a metric becomes."""
    semantic = SEMANTIC[row.name]
    if row.kind != "histogram":
        yield semantic.name, semantic.instrument, semantic.unit, ""
    if row.kind in ("histogram", "summary"):
        yield f"{semantic.name}.count", "counter", "{value}", "_count"
        yield f"{semantic.name}.sum", "counter", semantic.unit, "_sum"


def _create(meter: Meter, kind: Instrument, name: str, observe: Callback, unit: str, description: str) -> None:
    create = {
        "gauge": meter.create_observable_gauge,
        "updown": meter.create_observable_up_down_counter,
        "counter": meter.create_observable_counter,
    }[kind]
    create(name, [observe], unit, description)


class _Look:
    """One reading for all instruments of a collection: a new one is taken when an instrument asks a second time."""

    def __init__(self, metrics: list[Metrics]) -> None:
        self._pools = {id(one): one for one in metrics}
        self._lock = Lock()
        self._found: dict[str, list[Family]] = {}  # metric -> its family of each pool
        self._asked: set[str] = set()

    def at(self, instrument: str, metric: str) -> list[Family]:
        """A metric's families for this instrument."""
        with self._lock:
            if instrument in self._asked or not self._found:
                self._asked.clear()
                pools = read_all(self._pools.values())
                self._found = {same[0].name: list(same) for same in zip(*pools, strict=True)}
            self._asked.add(instrument)
            return self._found.get(metric, [])

    def remove(self, metrics: Metrics) -> None:
        with self._lock:
            self._pools.pop(id(metrics), None)
            self._found = {}
