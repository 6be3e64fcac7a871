"""What channels write, without a wire: the payload, the line, the record, the message."""

from __future__ import annotations

import dataclasses
import json
import logging
from email import message_from_string
from email.policy import default

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.channels.email import SUBJECT_LIMIT, EmailChannel
from millpond.alerts.channels.jsonlines import JsonLinesChannel
from millpond.alerts.channels.log_channel import LogChannel, line
from millpond.alerts.channels.webhook import WebhookChannel, common, webhook
from millpond.alerts.notify import Notification
from tests.alerts.made import alert

NASTY = 'two\nlines \x1b[31m\u202e \U0001f600 "quoted"'
BOTH = Notification("team", (("alertname", "A"), ("pool", "a")), (alert("A", n="1"), alert("A", "resolved", n="2")))


def email(**changes: object) -> EmailChannel:
    return EmailChannel("127.0.0.1", 25, "pool@example.org", ["ops@example.org", "b@example.org"], **changes)


def test_a_webhook_has_alertmanagers_form():
    """Version 4: group, status, what the alerts have in common, and each with times and fingerprint."""
    payload = webhook(BOTH, "http://here/")
    assert {key: payload[key] for key in ("version", "status", "receiver", "truncatedAlerts", "groupLabels")} == {
        "version": "4",
        "status": "firing",
        "receiver": "team",
        "truncatedAlerts": 0,
        "groupLabels": {"alertname": "A", "pool": "a"},
    }
    assert payload["groupKey"] == '{}:{alertname="A", pool="a"}'
    assert payload["commonLabels"] == {"alertname": "A", "pool": "a"}
    assert payload["commonAnnotations"] == {"summary": "A is up"}
    firing, resolved = payload["alerts"]
    assert (firing["startsAt"], firing["endsAt"]) == ("1970-01-01T00:16:40.000Z", "0001-01-01T00:00:00Z")
    assert (resolved["status"], resolved["endsAt"]) == ("resolved", "1970-01-01T00:17:40.000Z")
    assert firing["fingerprint"] == BOTH.alerts[0].fingerprint
    assert json.loads(json.dumps(payload)) == payload


def test_what_all_have_in_common_is_found():
    """Names with equal values in each."""
    assert common([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}, {"a": "1"}]) == {"a": "1"}


@given(st.text())
def test_a_line_is_one_line(text):
    """Whatever stands in a label or a text, the log shows what it is."""
    made = line(dataclasses.replace(alert(operation=text), annotations={"summary": text}))
    assert made.isprintable()


def test_levels_follow_severity(caplog):
    """Critical is an error, info is information, all else a warning; an end is information."""
    caplog.set_level(logging.DEBUG, logger="millpond.alerts")
    alerts = [alert(severity=severity) for severity in ("critical", "info", "warning", "other")]
    LogChannel().deliver(Notification("log", (), (*alerts, alert(state="resolved", severity="critical"))))
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "WARNING", "WARNING", "INFO"]


def test_a_file_gets_a_line_an_alert(tmp_path):
    """Appended, also after the file was moved away."""
    path = tmp_path / "alerts.jsonl"
    channel = JsonLinesChannel(path, wall_clock=lambda: 1100.5)
    channel.deliver(BOTH)
    path.rename(tmp_path / "moved")
    channel.deliver(Notification("x", (), (dataclasses.replace(alert(), annotations={"summary": NASTY}),)))
    records = [
        json.loads(row) for name in ("moved", "alerts.jsonl") for row in (tmp_path / name).read_text().split("\n")[:-1]
    ]
    assert [record["status"] for record in records] == ["firing", "resolved", "firing"]
    assert records[1]["ends_at"] == "1970-01-01T00:17:40.000Z"
    assert records[0]["ends_at"] is None
    assert records[2]["annotations"]["summary"] == NASTY
    assert records[0]["sent_at"] == "1970-01-01T00:18:20.500Z"


def test_an_email_says_what_fires_and_since_when():
    """In subject and text, to all recipients."""
    message = email().message(BOTH)
    assert message["Subject"] == "[FIRING:1] A"
    assert message["To"] == "ops@example.org, b@example.org"
    text = message.get_content()
    assert "A: firing\n  since 1970-01-01T00:16:40.000Z\n  value 1.5\n  summary: A is up" in text
    assert "A: resolved\n  since 1970-01-01T00:16:40.000Z until 1970-01-01T00:17:40.000Z" in text


@given(st.text(max_size=300))
def test_no_label_reaches_an_emails_head(text):
    """A line end in a name cannot add a recipient."""
    message = email().message(Notification("x", (), (alert(f"A{text}", operation=text),)))
    parsed = message_from_string(message.as_string(), policy=default)
    assert parsed["To"] == "ops@example.org, b@example.org"
    assert {key for key in parsed if key.lower() in ("cc", "bcc")} == set()
    assert len(parsed["Subject"]) <= SUBJECT_LIMIT


@pytest.mark.parametrize(
    "wrong",
    [{"recipients": "ops@example.org"}, {"recipients": []}, {"security": "none", "user": "me"}, {"security": "x"}],
)
def test_an_email_channel_that_makes_no_sense_is_refused(wrong):
    """A password never travels in the clear."""
    with pytest.raises(ValueError, match=r".+"):
        EmailChannel(**{"host": "h", "port": 25, "sender": "a@b", "recipients": ["c@d"], **wrong})


@pytest.mark.parametrize("url", ["ftp://host/x", "host:80", "", "http://", "file:///etc/passwd"])
def test_a_webhook_that_is_no_web_address_is_refused(url):
    """When it is made."""
    with pytest.raises(ValueError, match="http"):
        WebhookChannel(url)


def test_secrets_do_not_show():
    """Tokens stand in paths and headers, passwords in channels; none is in what they say of themselves."""
    hook = WebhookChannel("https://host/hooks/s3cret?key=s3cret", headers={"Authorization": "s3cret"})
    mail = email(user="me", password="s3cret")
    assert "s3cret" not in repr(hook) + repr(mail)
