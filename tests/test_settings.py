"""Settings: checked when they are made, and nothing is corrected in silence."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from millpond.environment import made_of
from millpond.settings import FIELDS, MOST_PAYLOAD_BYTES, Settings, make_settings
from millpond.wire.frames import HEADER
from millpond.worker.main import FRAME_ROOM_BYTES

BOUNDED = [
    (name, bound, step)
    for name, field in FIELDS.items()
    for bound, step in ((field.metadata["low"], -1), (field.metadata["high"], 1))
    if bound is not None
]


@pytest.mark.parametrize(("name", "bound", "step"), BOUNDED)
def test_bounds_are_inclusive_and_end_there(name, bound, step):
    """The bound itself is accepted, the next value beyond it is refused with the bounds in the message."""
    extra = {"max_workers": 1024} if name == "min_workers" else {"min_workers": 0} if name == "max_workers" else {}
    assert getattr(Settings(**extra, **{name: bound}), name) == bound
    with pytest.raises(ValueError, match=f"{name} must be from"):
        Settings(**{name: bound + step})


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_setting_says_what_it_is(name):
    """A sentence, a unit where a number has one, and bounds that admit the default."""
    facts = FIELDS[name].metadata
    assert facts["what"]
    assert getattr(Settings(), name) == getattr(Settings(), name)
    if "float" in str(FIELDS[name].type):
        assert facts["unit"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("max_worker", "max_workers"), ("timeout", "deadline"), ("Concurrency", "concurrency"), ("x", "")],
)
def test_an_unknown_name_is_refused_with_the_nearest_known(name, nearest):
    """Misspelling a setting never means using its default."""
    with pytest.raises(TypeError, match=f"unknown setting '{name}'; did you mean '{nearest}"):
        make_settings(None, {name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_workers", "4"),
        ("max_workers", 2.0),
        ("max_workers", True),
        ("max_workers", None),
        ("deadline", "1s"),
        ("handle_signals", 1),
        ("worker_env", ["A=1"]),
        ("worker_env", {"A": 1}),
        ("worker_env", {1: "A"}),
        ("inherit_env", "PATH"),
        ("inherit_env", [1]),
        ("preload", "numpy"),
        ("cwd", 3),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name, value):
    """Neither text for a number nor a truth value for a count is guessed at."""
    with pytest.raises(TypeError, match=rf"{name}(\[.*\])? must "):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [("max_workers", "4", "int"), ("min_ready", "1", "int | None"), ("rlimits", 3, r"Mapping\[str, int\]")],
)
def test_a_refusal_says_in_plain_words_what_is_wanted(name, value, wanted):
    """The kind as it is written in a program, not as the interpreter prints it."""
    with pytest.raises(TypeError, match=f"^{name} must be {wanted}, not "):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"rlimits": {"MEMORY": 1}}, "rlimits names 'MEMORY'.*known are AS, "),
        ({"rlimits": {"AS": "1G"}}, r"rlimits\['AS'\] must be a whole number"),
        ({"rlimits": {"AS": -2}}, r"rlimits\['AS'\] must be a whole number"),
        ({"cpu_affinity": [0, 100_000]}, "cpu_affinity names core 100000; the machine has 0 to "),
        ({"cpu_affinity": ["0"]}, "cpu_affinity names core '0'"),
        ({"cpu_affinity": []}, "cpu_affinity names no core"),
        ({"worker_env": {"MILLPOND_TOKEN": "mp_x"}}, "worker_env cannot hand on MILLPOND_TOKEN"),
    ],
)
def test_surroundings_no_worker_could_have_are_named_when_they_are_set(setting, named):
    """Not when the first worker fails to start for them."""
    with pytest.raises(ValueError, match=named):
        Settings(**setting)


@pytest.mark.parametrize(
    ("name", "value"), [("codec", "json"), ("start_method", "forkserver"), ("affinity", None), ("output", "terminal")]
)
def test_a_choice_is_one_of_those_there_are(name, value):
    """The refusal lists them."""
    with pytest.raises(ValueError, match=f"{name} must be one of '"):
        Settings(**{name: value})


def test_no_number_is_no_number():
    """NaN would compare as neither too small nor too large."""
    with pytest.raises(ValueError, match="deadline must be"):
        Settings(deadline=math.nan)


@pytest.mark.parametrize("name", ["deadline", "max_workers"])
def test_a_number_beyond_all_floats_is_out_of_bounds(name):
    """And no other error."""
    with pytest.raises(ValueError, match=f"{name} must be"):
        Settings(**{name: 10**400})


def test_a_deadline_has_an_end_a_clock_can_reach():
    """What is longer than years is said by `None`; the timers' arithmetic need not bear it."""
    assert Settings(deadline=1e8).deadline == 1e8
    with pytest.raises(ValueError, match="deadline must be"):
        Settings(deadline=1e9)


def test_settings_are_frozen_and_copied_with_changes():
    """A change makes another record, checked like the first."""
    settings = Settings(min_workers=1, max_workers=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.max_workers = 5
    assert settings.changed(max_workers=5).max_workers == 5
    assert settings.max_workers == 4
    with pytest.raises(ValueError, match="above max_workers"):
        settings.changed(max_workers=0 + 1, min_workers=2)
    with pytest.raises(TypeError, match="unknown setting"):
        settings.changed(workers=5)


def test_threads_default_to_the_cores_shared_out():
    """At least one each, and what is asked for where it is asked for."""
    assert Settings(max_workers=1024).threads == 1
    assert Settings(threads_per_worker=3).threads == 3


def test_overrides_go_over_a_given_record():
    """`Pool(settings=..., deadline=1)`: the keyword wins, the rest stays."""
    settings = make_settings(Settings(deadline=5.0, concurrency=2), {"deadline": 1.0})
    assert (settings.deadline, settings.concurrency) == (1.0, 2)


def test_a_session_store_is_a_path_or_does_what_a_store_does():
    """What is neither is refused when the settings are made, not when the first session goes to sleep."""
    assert Settings(session_store="sessions.db").session_store == "sessions.db"
    with pytest.raises(TypeError, match="session_store must be"):
        Settings(session_store=5)
    with pytest.raises(TypeError, match="session_store must be"):
        Settings(session_store="")  # SQLite would keep that in a file nobody finds again
    assert Settings(durability="disk", session_store=Path("sessions.db")).session_store == Path("sessions.db")


def test_disk_durability_needs_a_store_that_outlives_the_program():
    """Memory cannot keep that promise, so it is not made."""
    assert Settings(durability="disk", session_store="sessions.db").durability == "disk"
    with pytest.raises(ValueError, match="give it a path"):
        Settings(durability="disk")
    with pytest.raises(ValueError, match="give it a path"):
        Settings(durability="disk", session_store="memory")


def test_a_pool_cannot_wait_for_more_workers_than_it_starts():
    """`min_ready` is what suffices of `min_workers` at opening; later the floor may be lower."""
    with pytest.raises(ValueError, match=r"min_ready \(3\) is above min_workers \(2\)"):
        make_settings(None, {"min_workers": 2, "max_workers": 4, "min_ready": 3})
    made = make_settings(None, {"min_workers": 2, "max_workers": 4, "min_ready": 2})
    assert made.changed(min_workers=1).min_ready == 2


@pytest.mark.parametrize("name", ["", "A=B", "A\0B", "MILLPOND_RUN_ID"])
def test_what_is_no_variable_is_refused_by_name(name):
    """Nor may the mark be changed by which the pool finds its processes. No value is told: it may be a secret."""
    with pytest.raises(ValueError, match="worker_env") as caught:
        Settings(worker_env={name: "hush"})
    assert "hush" not in str(caught.value)


def test_a_program_passes_on_all_its_variables_or_what_is_listed():
    """A few that nothing works without are always passed on; what is chosen is added, or removed with None."""
    program = {"PATH": "/bin", "LC_ALL": "C", "TOKEN": "x", "AWS_KEY": "y", "AWS_ID": "z", "aws_old": "o"}
    assert made_of(program, {"TOKEN": None, "MODE": "m"}, None) == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "AWS_KEY": "y",
        "AWS_ID": "z",
        "aws_old": "o",
        "MODE": "m",
    }
    assert made_of(program, {}, []) == {"PATH": "/bin", "LC_ALL": "C"}
    assert made_of(program, {"AWS_ID": None}, ["AWS_*"]) == {"PATH": "/bin", "LC_ALL": "C", "AWS_KEY": "y"}


@pytest.mark.parametrize("setting", ["session_store", "history_path"])
@pytest.mark.parametrize(
    ("place", "told"), [(":memory:", "not ':memory:'"), ("no/file.db", "no folder"), (".", "is a folder")]
)
def test_a_place_where_no_file_can_be_is_refused(setting, place, told, tmp_path, monkeypatch):
    """At once, and nothing is made; a file in a folder that is there will do."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{setting} .*{told}"):
        Settings(**{setting: place})
    assert getattr(Settings(**{setting: str(tmp_path / "file.db")}), setting)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_payload_fits_a_frame():
    """With what surrounds it: a longer one could not be told the other end."""
    HEADER.pack(MOST_PAYLOAD_BYTES + FRAME_ROOM_BYTES, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)
