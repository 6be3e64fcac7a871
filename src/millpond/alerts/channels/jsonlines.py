"""Appends alerts to a file, one JSON object a line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from millpond.alerts.notify import Notification
from millpond.alerts.states import Alert, timestamp
from millpond.telemetry.lines import as_json, plain


class JsonLinesChannel:
    """Lines in the file at `path`, which is opened anew each time: it may be moved away at any moment."""

    def __init__(
        self, path: str | os.PathLike[str], name: str = "jsonlines", wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self.path = Path(path)
        self._wall_clock = wall_clock

    def deliver(self, notification: Notification) -> None:
        """Append the lines with one write."""
        sent_at = timestamp(self._wall_clock())
        lines = "".join(f"{as_json(record(alert, sent_at))}\n" for alert in notification.alerts)
        with self.path.open("ab", buffering=0) as file:
            file.write(lines.encode("utf-8", "backslashreplace"))


def record(alert: Alert, sent_at: str) -> dict[str, Any]:
    """What is written of one alert."""
    return {
        "sent_at": sent_at,
        "status": alert.state,
        "alertname": alert.name,
        "fingerprint": alert.fingerprint,
        "value": plain(alert.value),
        "starts_at": timestamp(alert.fired_at),
        "ends_at": timestamp(alert.resolved_at) if alert.resolved_at else None,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
    }
