"""Nothing public is undocumented: what the code offers is found, as code, on some page."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import Any

import millpond
from millpond import errors, events, testing
from millpond.alerts.alerts import Alerts
from millpond.calls import Calls
from millpond.cli.app import app
from millpond.client.blocking import SyncRemoteCalls, SyncRemoteSession
from millpond.client.remote_calls import RemoteCalls
from millpond.client.remote_session import RemoteSession
from millpond.client.remote_stream import RemoteStream
from millpond.facts import BusyWorker, Statistics
from millpond.handles import SessionHandle
from millpond.options import Options
from millpond.seams import RESERVED_EVENTS
from millpond.settings import FIELDS
from millpond.streaming import Stream
from millpond.sync import SyncCalls, SyncPool, SyncSession
from millpond.telemetry.bus import Bus
from millpond.worker.handler import HOOKS
from millpond.worker.handler_session import Session
from tests.docs.pages import PAGES, code_words

WORDS = code_words()
FACES = (
    Calls,
    millpond.Pool,
    SessionHandle,
    Stream,
    SyncCalls,
    SyncPool,
    SyncSession,
    millpond.Executor,
    Alerts,
    Bus,
    Session,
    RemoteCalls,
    millpond.Client,
    RemoteStream,
    RemoteSession,
    SyncRemoteCalls,
    millpond.SyncClient,
    SyncRemoteSession,
)
# For the other parts of Millpond, not for its users.
INNER = {
    *(
        "factory_on_loop",
        "check_open",
        "entered",
        "check_thread",
        "chosen",
        "close_unopened",
        "run_async",
        "disown",
    ),
    *("answer_to", "iterate", "map_window", "request_for", "usable_thread"),
    *("execute", "has_listener"),
}


def missing(names: Iterable[str]) -> list[str]:
    return sorted(set(names) - WORDS)


def defined_in(module: Any) -> set[str]:
    """The public names a module makes itself."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", module.__name__) == module.__name__
        if not inspect.ismodule(value) and name != "annotations"
    }


def test_every_setting_is_documented():
    """A setting nobody can find is none."""
    assert missing(FIELDS) == []


def test_every_error_code_and_class_is_documented():
    """A caller looks up what was raised."""
    assert missing(errors.TABLE) == []
    assert missing(kind.__name__ for kind in errors.CLASSES.values()) == []


def test_every_event_is_documented_with_its_fields():
    """A listener knows what it will be given."""
    assert missing(events.EVENTS) == []
    assert missing(field.name for kind in events.EVENTS.values() for field in dataclasses.fields(kind)) == []


def test_every_reserved_beginning_is_documented():
    """Who names an event knows which names are taken."""
    own = PAGES["docs/events.md"].partition("## Events of your own")[2].partition("```")[0]
    assert [name for name in RESERVED_EVENTS if f"`{name}`" not in own] == []


def test_every_hook_is_documented():
    """A handler's author knows which names have a meaning."""
    assert missing(HOOKS) == []


def test_every_option_is_documented():
    """A caller knows what a call can be told."""
    assert missing(field.name for field in dataclasses.fields(Options)) == []


def test_every_public_name_is_documented():
    """What `import millpond` and `millpond.testing` offer is on some page."""
    assert missing(millpond._HOMES) == []
    assert missing(defined_in(errors)) == []
    assert missing(testing.__all__) == []


def test_every_verb_is_documented():
    """Methods and properties of the faces are public unless they are listed as inner, and that list is no cemetery."""
    verbs = {name for face in FACES for name in vars(face) if not name.startswith("_")}
    assert missing(verbs - INNER) == []
    assert verbs >= INNER


def test_every_statistic_is_documented():
    """Each field of the statistics is explained."""
    assert missing(field.name for kind in (Statistics, BusyWorker) for field in dataclasses.fields(kind)) == []


def test_every_command_is_documented():
    """Each command of `millpond` stands on some page as it is typed."""
    text = "\n".join(PAGES.values())
    commands = [name for name in app if not name.startswith("-")]
    assert commands
    assert [name for name in commands if f"millpond {name}" not in text] == []
