"""A notification as Alertmanager's webhook sends it, version 4: what receivers everywhere understand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from millpond.alerts.notify import Notification
from millpond.alerts.states import Alert, text_of

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, for what has not ended


def webhook(notification: Notification, external_url: str = "") -> dict[str, Any]:
    """The body of the request, as values that JSON knows."""
    labels = dict(notification.group)
    return {
        "version": "4",
        "groupKey": f"{{}}:{text_of(notification.group)}",
        "truncatedAlerts": 0,
        "status": notification.status,
        "receiver": notification.receiver,
        "groupLabels": labels,
        "commonLabels": common(alert.labels for alert in notification.alerts),
        "commonAnnotations": common(alert.annotations for alert in notification.alerts),
        "externalURL": external_url,
        "alerts": [_alert(alert, external_url) for alert in notification.alerts],
    }


def _alert(alert: Alert, external_url: str) -> dict[str, Any]:
    return {
        "status": alert.state,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": timestamp(alert.fired_at),
        "endsAt": timestamp(alert.resolved_at) if alert.resolved_at else NEVER,
        "generatorURL": external_url,
        "fingerprint": alert.fingerprint,
    }


def common(texts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of these say alike."""
    first, *others = (set(mapping.items()) for mapping in texts)
    return dict(sorted(first.intersection(*others)))


def timestamp(wall: float) -> str:
    """Unix seconds as RFC 3339, in UTC."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
