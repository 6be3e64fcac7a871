"""Profiles: what each sets, what the user's own settings do to that, and what none of them takes away."""

from __future__ import annotations

import pytest

import millpond
from millpond.executor.executor import UNBOUNDED
from millpond.profiles import PROFILES, OfCores, profile_settings
from millpond.settings import FIELDS, Settings

NAMES = sorted(PROFILES)


def settings_of(name: str, of_cores: int = 4, **given: object) -> Settings:
    return Settings(**{"max_workers": of_cores} | profile_settings(name, given, of_cores))


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_why_for_each_value_that_is_not_the_default(name):
    """Each value differs from the default, and has one sentence of reason."""
    profile = PROFILES[name]
    assert profile.use.endswith(".")
    for setting, (value, reason) in profile.values.items():
        depends_on_machine = isinstance(value, OfCores) or setting == "max_workers"
        assert depends_on_machine or value != getattr(Settings(), setting)
        assert reason.endswith(".")
        assert ". " not in reason


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("of_cores", [1, 2, 64, 1024])
def test_a_profile_fits_machines_of_every_size(name, of_cores):
    """Its values are within bounds, whatever the number of cores."""
    values = profile_settings(name, {}, of_cores)
    if values.get("max_workers", 0) <= FIELDS["max_workers"].metadata["high"]:
        Settings(**{"max_workers": of_cores} | values)


@pytest.mark.parametrize("name", NAMES)
def test_no_profile_weakens_what_a_pool_promises(name):
    """Deadlines, the bounds on what waits, the breaker, overload control and replacement of workers are in all."""
    settings, default = settings_of(name), Settings()
    assert settings.deadline is not None
    assert settings.max_queued is not None
    assert settings.max_queued_bytes is not None
    kept = ("overload_control", "breaker_faults", "breaker_share", "breaker_window", "breaker_reset", "cancel_grace",
            "on_interrupt", "stopped_timeout", "restart_backoff", "restart_backoff_max", "max_sessions", "codec",
            "isolation", "durability", "on_restore", "start_method", "concurrency", "metrics", "alerts")  # fmt: skip
    assert [one for one in kept if getattr(settings, one) != getattr(default, one)] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_the_user_sets_stands(name):
    """A setting given by name is the pool's, whatever the profile says; the rest is the profile's."""
    for setting in PROFILES[name].values:
        given = 4 if setting == "max_workers" else getattr(Settings(), setting)
        assert getattr(settings_of(name, **{setting: given}), setting) == given
    pool = millpond.Pool(None, profile=name, deadline=7.0)
    assert pool.settings.deadline == 7.0


def test_the_bound_of_a_profile_gives_way_to_the_users():
    """One bound of the user's that contradicts the profile's other one moves that; two of the user's are refused."""
    assert settings_of("low_latency", max_workers=2).min_workers == 2
    assert settings_of("resource_constrained", min_workers=3).max_workers == 3
    with pytest.raises(ValueError, match=r"min_workers \(3\) is above max_workers \(2\)"):
        settings_of("low_latency", min_workers=3, max_workers=2)


def test_an_unknown_profile_is_refused_with_the_nearest_known():
    """Misspelling a profile never means the default one."""
    for kind in (millpond.Pool, millpond.SyncPool):
        with pytest.raises(ValueError, match="unknown profile 'low-latency'; did you mean 'low_latency'"):
            kind(None, profile="low-latency")
    with pytest.raises(ValueError, match="unknown profile 'develop'; did you mean 'development'"):
        millpond.Executor(profile="develop")
    with pytest.raises(ValueError, match="unknown profile None"):
        millpond.Pool(None, profile=None)


def test_a_profile_beside_whole_settings_is_refused():
    """A `Settings` has a value for everything: which of them were meant cannot be told."""
    with pytest.raises(ValueError, match="has no say beside it"):
        millpond.Pool(None, profile="development", settings=Settings())
    assert millpond.Pool(None, profile="balanced", settings=Settings(deadline=3.0)).settings.deadline == 3.0


def test_an_executor_keeps_its_promises_under_a_profile():
    """It takes any number of calls and ends none of them for its time; the profile is about its workers."""
    settings = millpond.Executor(4, profile="resource_constrained")._pool.settings
    assert {name: getattr(settings, name) for name in UNBOUNDED} == UNBOUNDED
    assert (settings.min_workers, settings.max_workers, settings.nice) == (0, 4, 5)
    assert millpond.Executor(4)._pool.settings.min_workers == 4
