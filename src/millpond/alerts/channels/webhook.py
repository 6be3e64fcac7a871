"""Posts alerts to a URL, as Alertmanager's webhook of version 4 does: what receivers everywhere understand."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from millpond.alerts.notify import Notification
from millpond.alerts.sender import Undeliverable
from millpond.alerts.states import Alert, text_of, timestamp

_ANSWER_BYTES = 64 * 1024  # as much of an answer is read as a decent receiver sends
_TRY_AGAIN = (408, 425, 429)
NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, for what has not ended


class WebhookChannel:
    """POSTs JSON to `url` (http or https). `headers` go along and are shown nowhere; `timeout_s` is for each step;
    `context` says whose certificates are trusted (default: those the system trusts).

    An answer of 2xx is success; 408, 425, 429 and 5xx are tried again; any other, redirections too, is final.
    Raises `ValueError` for another kind of URL.
    """

    def __init__(
        self,
        url: str,
        name: str = "webhook",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        external_url: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._parts = urlsplit(url)
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise ValueError("a webhook's address begins with http:// or https:// and names a host")
        self._headers = {"Content-Type": "application/json", "User-Agent": "millpond", **(headers or {})}
        self._timeout_s = timeout_s
        self._external_url = external_url
        self._context = context

    def __repr__(self) -> str:
        return f"<WebhookChannel {self.name!r} to {self._parts.hostname}>"  # the rest may hold a secret

    def deliver(self, notification: Notification) -> None:
        """Post it."""
        body = json.dumps(webhook(notification, self._external_url)).encode()
        connection = self._connection()
        try:
            connection.request("POST", self._target(), body, self._headers)
            answer = connection.getresponse()
            answer.read(_ANSWER_BYTES)
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            problem = f"{self._parts.hostname} answered {answer.status} {answer.reason}"
            raise OSError(problem) if answer.status in _TRY_AGAIN or answer.status >= 500 else Undeliverable(problem)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def _target(self) -> str:
        query = f"?{self._parts.query}" if self._parts.query else ""
        return f"{self._parts.path or '/'}{query}"


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
