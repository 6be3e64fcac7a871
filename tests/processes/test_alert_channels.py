"""Alerts that arrive: at a real HTTP receiver and a real SMTP server, through refusals, silence and death."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from millpond.alerts.alerts import Alerts
from millpond.alerts.channels.email import EmailChannel
from millpond.alerts.channels.jsonlines import JsonLinesChannel
from millpond.alerts.channels.webhook import WebhookChannel
from millpond.alerts.notify import Notification, Route
from millpond.alerts.rules import Rule
from millpond.alerts.sender import RetryPolicy, Sender, Undeliverable
from millpond.metrics.catalogue import Family
from millpond.testing import ManualClock
from tests.alerts.made import alert, gauges, group

UPPER_BOUND_S = 60.0
QUICK = RetryPolicy(first_s=0.001, longest_s=0.01)
FIRING = Notification("hook", (("alertname", "A"),), (alert("A"),))


class Receiver:
    """An HTTP server that keeps what it is sent, and answers what it is told to (200 by default)."""

    def __init__(self) -> None:
        self.requests: queue.Queue[tuple[str, dict[str, str], Any]] = queue.Queue()
        self.answers: queue.Queue[int] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.put((self.path, dict(self.headers), json.loads(body)))
                status = 200 if receiver.answers.empty() else receiver.answers.get()
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def next(self) -> tuple[str, dict[str, str], Any]:
        """Wait for a request: its path, headers and body."""
        return self.requests.get(timeout=UPPER_BOUND_S)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Postbox:
    """Takes mail over SMTP; refuses recipients whose address says so."""

    def __init__(self) -> None:
        self.mails: queue.Queue[tuple[list[str], bytes]] = queue.Queue()
        self.busy = 0  # how many more times it is too busy

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.busy:
            self.busy -= 1
            return "451 come back later"
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.put((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def post() -> Iterator[tuple[Postbox, int]]:
    """A postbox and its port."""
    box = Postbox()
    # The port is chosen here: aiosmtpd cannot tell which one it was given for 0.
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), ready_timeout=UPPER_BOUND_S)
    controller.start()
    yield box, controller.port
    controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def mailer(port: int, *recipients: str, **changes: Any) -> EmailChannel:
    return EmailChannel("127.0.0.1", port, "pool@example.org", recipients or ["ops@example.org"], **changes)


@pytest.fixture
def make_sender() -> Iterator[Callable[..., Sender]]:
    senders = []

    def make(channel: Any, retry_policy: RetryPolicy = QUICK) -> Sender:
        senders.append(Sender(channel, retry_policy))
        return senders[-1]

    yield make
    for sender in senders:
        sender.close(UPPER_BOUND_S)


def test_a_webhook_arrives(receiver):
    """As JSON, with path, query and headers as given."""
    hook = WebhookChannel(f"{receiver.url}/hooks/x?key=1", headers={"Authorization": "Bearer t"})
    hook.deliver(FIRING)
    path, headers, body = receiver.next()
    assert path == "/hooks/x?key=1"
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer t", "application/json")
    assert (body["version"], body["status"], body["alerts"][0]["labels"]["alertname"]) == ("4", "firing", "A")


def test_a_receiver_in_trouble_is_tried_again(receiver, make_sender):
    """503, 429, 408: until it answers 200."""
    for status in (503, 429, 408):
        receiver.answers.put(status)
    sender = make_sender(WebhookChannel(receiver.url))
    sender.put(FIRING)
    sender.close(UPPER_BOUND_S)
    assert (sender.facts().sent, sender.facts().retries, receiver.requests.qsize()) == (1, 3, 4)


@pytest.mark.parametrize("status", [400, 404, 301, 307])
def test_a_refusal_is_final_and_no_redirection_is_followed(receiver, status):
    """What a receiver does not want it will not want in a second; and it does not say where else labels may go."""
    receiver.answers.put(status)
    with pytest.raises(Undeliverable, match=str(status)):
        WebhookChannel(receiver.url).deliver(FIRING)
    assert receiver.requests.qsize() == 1


def test_a_receiver_that_does_not_answer_runs_into_the_timeout():
    """A connection that is taken and then left alone costs the timeout, on the sender's thread."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hook = WebhookChannel(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)
        with pytest.raises(TimeoutError):
            hook.deliver(FIRING)


def test_a_receiver_that_comes_back_gets_what_it_missed(make_sender):
    """Nobody listened; then somebody does, at the same address."""
    port = free_port()
    sender = make_sender(WebhookChannel(f"http://127.0.0.1:{port}"))
    sender.put(FIRING)
    taken = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            taken.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    while not sender.facts().retries:  # it was refused at least once
        assert not taken.wait(0.001)
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        assert taken.wait(UPPER_BOUND_S)
        server.shutdown()
        thread.join()
    sender.close(UPPER_BOUND_S)
    assert sender.facts().sent == 1


def test_an_email_arrives(post):
    """At all recipients, with subject and text."""
    box, port = post
    mailer(port, "ops@example.org", "b@example.org", security="none").deliver(FIRING)
    recipients, content = box.mails.get(timeout=UPPER_BOUND_S)
    message = message_from_bytes(content, policy=default)
    assert recipients == ["ops@example.org", "b@example.org"]
    assert message["Subject"] == "[FIRING:1] A"
    assert "A: firing" in message.get_content()


def test_a_busy_mail_server_is_tried_again(post, make_sender):
    """451 is no refusal."""
    box, port = post
    box.busy = 2
    sender = make_sender(mailer(port, security="none"))
    sender.put(FIRING)
    sender.close(UPPER_BOUND_S)
    assert (sender.facts().sent, sender.facts().retries, box.mails.qsize()) == (1, 2, 1)


def test_a_mail_server_that_refuses_all_recipients_is_not_tried_again(post):
    """If one is taken, the mail goes to that one."""
    box, port = post
    with pytest.raises(Undeliverable, match="550"):
        mailer(port, "nobody@example.org", security="none").deliver(FIRING)
    mailer(port, "nobody@example.org", "ops@example.org", security="none").deliver(FIRING)
    assert box.mails.get(timeout=UPPER_BOUND_S)[0] == ["ops@example.org"]


def test_without_encryption_nothing_is_sent_by_default(post):
    """A server that offers no STARTTLS gets no mail and no password."""
    box, port = post
    with pytest.raises(Undeliverable, match="STARTTLS"):
        mailer(port, user="me", password="secret").deliver(FIRING)
    assert box.mails.empty()


def test_a_dead_channel_delays_neither_evaluation_nor_the_others(receiver, post, tmp_path):
    """Four channels, one of them to nowhere: the others are told of beginning and end, and closing is bounded."""
    box, port = post
    queued, clock = {"a": 9.0}, ManualClock(1000.0)

    def families() -> list[Family]:
        return [gauges("millpond_calls_queued", "pool", queued)]

    rule = Rule("Busy", of="calls_queued", above=5, summary="{value} wait")
    alerts = Alerts(families, clock.now, clock.now, rules=[group(rule)])
    at_once = Route(wait_s=0.0, interval_s=0.0)
    dead = WebhookChannel(f"http://127.0.0.1:{free_port()}", "dead")
    path = tmp_path / "alerts.jsonl"
    for channel in (dead, WebhookChannel(receiver.url), mailer(port, security="none"), JsonLinesChannel(path)):
        alerts.add_channel(channel, at_once, RetryPolicy(first_s=3600.0, longest_s=3600.0))
    alerts.evaluate()
    queued["a"] = 0.0
    clock.jump(5.0)
    alerts.evaluate()
    bodies = [receiver.next()[2] for _ in range(2)]
    assert [body["status"] for body in bodies] == ["firing", "resolved"]
    assert bodies[0]["alerts"][0]["fingerprint"] == bodies[1]["alerts"][0]["fingerprint"]
    subjects = [message_from_bytes(box.mails.get(timeout=UPPER_BOUND_S)[1])["Subject"] for _ in range(2)]
    assert subjects == ["[FIRING:1] Busy", "[RESOLVED] Busy"]
    alerts.close(0.5)
    facts = {one.name: one for one in alerts.channels()}
    assert [json.loads(line)["status"] for line in path.read_text().splitlines()] == ["firing", "resolved"]
    assert facts["dead"].sent == 0
    assert "ConnectionRefusedError" in facts["dead"].last_error
    assert [facts[name].sent for name in ("webhook", "email", "jsonlines", "log")] == [2, 2, 2, 2]
