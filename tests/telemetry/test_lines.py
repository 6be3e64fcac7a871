"""Events as text: whatever stands in a field, a line is one line and reads as it is."""

from __future__ import annotations

import json
import math
import re

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from millpond.events import SessionLostEvent, UserEvent, WorkerGone, WorkerStartFailed
from millpond.logger.escaping import escaped
from millpond.telemetry.lines import TEXT_LIMIT, as_json, as_line, facts

NASTY = "a\nb\r\x1b[31m\x00\x7f\x85\u2028\u2029\u200b\u202e\u2066\u200f\u061c\ufeff\ud800\U000e0041\xa0é漢"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def user_event(metadata):
    return UserEvent("shop.sale", metadata=metadata)


def undone(line):
    """A line's words back as strings."""
    return [
        (key, json.loads(value) if value.startswith('"') else value)
        for key, value in re.findall(r' ([^ =]+)=("(?:[^"\\]|\\.)*"|[^ ]*)', line)
    ]


@given(st.dictionaries(st.text(), ANYTHING, max_size=4))
@example({NASTY: NASTY})
@example({"name": 1, "worker": 2, "event": 3, "event_": 4, "exc_info": 5})
@example({"deep": [[[["x"]]]], "long": 10**5000, "nan": math.nan, "numpy": np.int64(3)})
def test_no_field_breaks_a_line(metadata):
    """One line of printable characters, in both forms, and the second is JSON."""
    said = facts(user_event(metadata))
    assert len(said) == len(metadata)
    line, record = as_line("shop.sale", said), as_json(said)
    assert line.isprintable()
    assert record.isprintable()
    assert line.startswith("shop.sale")
    # JSON's escapes join two lone halves of a pair, which in Python may stand side by side.
    assert json.loads(record) == said or re.search("[\ud800-\udbff][\udc00-\udfff]", spelled(said))


def spelled(said):
    return json.dumps(said, ensure_ascii=False)


@given(st.text())
@example(NASTY)
def test_what_was_escaped_can_be_read_back(text):
    """Nothing is lost: the escapes are JSON's."""
    ((key, value),) = undone(as_line("a.b", facts(user_event({"text": text}))))
    assert key == "text"
    assert value == text or re.search("[\ud800-\udfff]", text)
    assert json.loads(as_json(facts(user_event({"text": text}))))["text"] == value


def test_control_and_bidirectional_characters_show():
    """As escapes, while letters of any script stay as they are."""
    assert escaped("\x1b[31m\u202egnp.exe\u2066\x9b é漢") == r"\u001b[31m\u202egnp.exe\u2066\u009b é漢"


def test_a_line_names_what_is_known():
    """Without what is not, with quotes where there is more than a word."""
    gone = WorkerGone(
        worker=3,
        pid=77,
        cause="crashed",
        reason="died: signal 9",
        signal=9,
        exit_code=None,
        lost=1,
        sessions=0,
        seconds=1.23456789,
    )
    assert as_line("worker.gone", facts(gone)) == (
        'worker.gone worker=3 pid=77 cause=crashed reason="died: signal 9" signal=9 lost=1 sessions=0 seconds=1.23457'
    )
    assert as_line("session.lost", facts(SessionLostEvent(number=4, generation=1, reason=""))) == (
        'session.lost number=4 generation=1 reason=""'
    )


def test_a_handlers_own_words_are_logged_only_if_asked_for():
    """A traceback may quote anything that the handler was given."""
    failed = WorkerStartFailed(worker=1, message="Traceback ...\nValueError: secret")
    assert as_line("worker.start_failed", facts(failed)) == "worker.start_failed worker=1"
    assert r"secret" in as_line("worker.start_failed", facts(failed, show_text=True))


def test_a_users_facts_follow_the_events_own():
    """Under a name of their own if theirs is taken, by a field or by what a record says of itself."""
    event = UserEvent(
        "shop.sale",
        worker=2,
        pid=7,
        call=9,
        operation="sell",
        measurements={"euros": 12.5, "worker": 1},
        metadata={"event": "x", "kind": "old book"},
        suppressed=3,
    )
    assert as_line("shop.sale", facts(event)) == (
        'shop.sale worker=2 pid=7 call=9 operation=sell suppressed=3 euros=12.5 worker_=1 event_=x kind="old book"'
    )


def test_long_values_are_cut():
    """With the number of characters that are missing."""
    (value,) = facts(user_event({"text": "x" * (TEXT_LIMIT + 5)})).values()
    assert value == "x" * TEXT_LIMIT + "... 5 more"
