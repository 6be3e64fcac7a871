"""Sends alerts by e-mail, over SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Literal

from millpond.alerts.notify import Notification
from millpond.alerts.sender import Undeliverable
from millpond.alerts.states import FIRING, Alert, timestamp
from millpond.logger.escaping import escaped

SUBJECT_LIMIT = 200


class EmailChannel:
    """Mails through the server at `host`: one message a notification, from `sender` to `recipients`.

    `security` is `"starttls"`, `"tls"` (from the first byte) or `"none"`; `user` and `password` log in, which is
    refused without encryption. `timeout_s` is for each step. `context` says whose certificates are trusted (default:
    those the system trusts). Raises `ValueError` for what does not go together.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        recipients: Sequence[str],
        name: str = "email",
        *,
        security: Literal["starttls", "tls", "none"] = "starttls",
        user: str = "",
        password: str = "",
        timeout_s: float = 10.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if isinstance(recipients, str) or not recipients:
            raise ValueError("recipients: a list of at least one address is needed")
        if security not in ("starttls", "tls", "none") or (user and security == "none"):
            raise ValueError("security is 'starttls', 'tls', or 'none', and with 'none' nobody logs in")
        self.name = name
        self._host, self._port = host, port
        self._sender, self._recipients = sender, tuple(recipients)
        self._security = security
        self._user, self._password = user, password
        self._timeout_s = timeout_s
        self._context = context

    def __repr__(self) -> str:
        return f"<EmailChannel {self.name!r} by {self._host}>"

    def deliver(self, notification: Notification) -> None:
        """Send the message."""
        message = self.message(notification)
        try:
            self._send(message)
        except smtplib.SMTPNotSupportedError as error:
            raise Undeliverable(f"{self._host}: {error}") from error
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                raise Undeliverable(f"{self._host} answered {error.smtp_code} {error.smtp_error!r}") from error
            raise
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            if min(codes) >= 500:
                raise Undeliverable(f"{self._host} refused all recipients: {codes}") from error
            raise

    def message(self, notification: Notification) -> EmailMessage:
        """The message as it is sent."""
        firing = sum(alert.state == FIRING for alert in notification.alerts)
        names = ", ".join(sorted({alert.name for alert in notification.alerts}))
        subject = f"[{notification.status.upper()}{f':{firing}' if firing else ''}] {names}"
        message = EmailMessage()
        message["Subject"] = escaped(subject)[:SUBJECT_LIMIT]
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or "millpond")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answer is wanted
        message.set_content("\n".join(text for alert in notification.alerts for text in _paragraph(alert)))
        return message

    def _send(self, message: EmailMessage) -> None:
        server = self._server()
        try:
            server.send_message(message)
        finally:
            try:
                server.quit()
            except (OSError, smtplib.SMTPException):
                server.close()  # what was accepted stays accepted: no reason to send it again

    def _server(self) -> smtplib.SMTP:
        context = None if self._security == "none" else self._context or ssl.create_default_context()
        if self._security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout_s, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        try:
            if self._security == "starttls":
                server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def _paragraph(alert: Alert) -> Iterator[str]:
    yield f"{escaped(alert.name)}: {alert.state}"
    yield f"  since {timestamp(alert.fired_at)}" + (
        f" until {timestamp(alert.resolved_at)}" if alert.resolved_at else ""
    )
    yield f"  value {alert.value:g}"
    for name, text in [*alert.annotations.items(), *alert.labels.items()]:
        yield f"  {name}: {escaped(text)}"
    yield ""
