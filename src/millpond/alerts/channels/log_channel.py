"""Tells alerts to logging: what fires as a warning or an error, what is over as information."""

from __future__ import annotations

import logging

from millpond.alerts.notify import Notification
from millpond.alerts.states import FIRING, Alert
from millpond.telemetry.lines import as_line, plain

_LEVELS = {"critical": logging.ERROR, "info": logging.INFO}


class LogChannel:
    """One line an alert on `logger`; `severity` critical is an error, info is information, all else a warning."""

    def __init__(self, name: str = "log", logger: str = "millpond.alerts") -> None:
        self.name = name
        self._log = logging.getLogger(logger)

    def deliver(self, notification: Notification) -> None:
        """Write the lines."""
        for alert in notification.alerts:
            level = _LEVELS.get(alert.severity, logging.WARNING) if alert.state == FIRING else logging.INFO
            self._log.log(level, "%s", line(alert))


def line(alert: Alert) -> str:
    """An alert on one line, control and bidirectional characters escaped."""
    labels = {name: value for name, value in alert.labels.items() if name != "alertname"}
    fields = {"alert": alert.name, "summary": alert.summary, "value": alert.value, **labels}
    return as_line(f"alert.{alert.state}", {key: plain(value) for key, value in fields.items()})
