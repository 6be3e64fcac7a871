"""Runs the core and the optimizer under a virtual clock: traffic in, what it cost and who waited out.

Only the engine is simulated: how long starts and calls take, and what fails.
"""

from millpond.core import SizingRule
from millpond.simulator.durations import Duration, parse_duration
from millpond.simulator.generators import generate, session_traffic
from millpond.simulator.scoring import Score, score
from millpond.simulator.simulation import FaultShares, Recording, Scenario, Simulation, settings_for
from millpond.simulator.steering import Bare, Decided, Steering, make_steering
from millpond.simulator.trace_files import TraceError, read_traffic
from millpond.simulator.traffic import Traffic

__all__ = [
    "Bare",
    "Decided",
    "Duration",
    "FaultShares",
    "Recording",
    "Scenario",
    "Score",
    "Simulation",
    "SizingRule",
    "Steering",
    "TraceError",
    "Traffic",
    "generate",
    "make_steering",
    "parse_duration",
    "read_traffic",
    "score",
    "session_traffic",
    "settings_for",
]
