"""Workers that another is to replace: they serve until it does."""

from __future__ import annotations

from millpond import events
from millpond.core.records.worker import READY, SPARE, STARTING, STOPPING
from tests.core.model import World


def ready(world: World) -> list[int]:
    """The ids of those that serve."""
    return [process.record.id for process in world.all if process.record.state == READY]


def test_a_worker_goes_when_another_serves():
    """At the bound, too: there is one more until then, and no moment at which fewer serve than are wanted."""
    world = World(min_workers=2, max_workers=2).begin()
    world.replace(world.processes[1])
    assert (ready(world), sorted(world.processes)) == ([1, 2], [1, 2, 3])
    assert world.submit().state == "running"
    world.get_ready(world.processes[3])
    assert ready(world) == [2, 3]
    (draining,) = world.events(events.WorkerDraining)
    assert (draining.worker, draining.reason) == (1, "replace_workers()")
    world.serve_all()
    assert sorted(world.processes) == [2, 3]


def test_one_is_replaced_after_another():
    """Never more than one above the bound, however many are to go."""
    world = World(min_workers=3, max_workers=3).begin()
    for process in world.all:
        world.replace(process)
    assert sorted(world.processes) == [1, 2, 3, 4]
    world.serve_all()
    assert sorted(world.processes) == [4, 5, 6]


def test_a_worker_stays_while_its_successor_cannot_start():
    """Starts that fail cost no service: they are tried again, with the pause of every failing start."""
    world = World(min_workers=1, max_workers=1, restart_backoff=1.0).begin()
    world.replace(world.processes[1])
    for _ in range(3):
        world.fail_to_start(max(world.all, key=lambda process: process.record.id))
        assert ready(world) == [1]
        world.advance(10.0)
    assert world.submit().worker.id == 1
    world.serve_all()
    assert ready(world) == [5]


def test_a_worker_is_kept_whose_successor_is_not_wanted_any_more():
    """The one on its way is let go, and nobody else."""
    world = World(min_workers=2, max_workers=2).begin()
    world.replace(world.processes[1])
    world.keep(world.processes[1])
    world.serve_all()
    assert ready(world) == [1, 2]


def test_a_worker_that_dies_meanwhile_is_followed_by_the_one_on_its_way():
    """No further one is started for it."""
    world = World(min_workers=1, max_workers=1).begin()
    world.advance(2.0)
    world.replace(world.processes[1])
    world.reap(world.processes[1])
    assert [process.record.state for process in world.all] == [STARTING]
    world.serve_all()
    assert ready(world) == [2]


def test_a_death_beside_a_replacement_is_made_up_for():
    """The one above the bound is for whoever goes, not instead of who died."""
    world = World(min_workers=2, max_workers=2).begin()
    world.advance(2.0)
    world.replace(world.processes[1])
    world.reap(world.processes[2])
    assert sorted(world.processes) == [1, 3, 4]
    world.get_ready(world.processes[3])
    assert ready(world) == [1, 3]
    world.serve_all()
    assert ready(world) == [3, 4]


def test_shrinking_takes_the_one_that_is_to_go():
    """Fewer are wanted: nobody has to come in its place."""
    world = World(min_workers=2, max_workers=2).begin()
    world.replace(world.processes[1])
    world.resize(1, 1)
    world.serve_all()
    assert ready(world) == [2]


def test_a_spare_steps_in_for_a_worker_that_is_to_go():
    """It serves at once, so the old one may leave, and another stands by in the end."""
    world = World(min_workers=1, max_workers=1, spare_workers=1).begin()
    world.replace(world.processes[1])
    assert world.processes[1].record.state == STOPPING
    assert ready(world) == [2]
    world.serve_all()
    assert [process.record.state for process in world.all] == [READY, SPARE]


def test_a_spare_that_is_to_go_stands_by_until_another_does():
    """It even serves if somebody dies meanwhile, and is then replaced as one who serves."""
    world = World(min_workers=1, max_workers=1, spare_workers=1).begin()
    world.advance(2.0)
    world.replace(world.processes[2])
    assert world.processes[2].record.state == SPARE
    world.reap(world.processes[1])
    assert ready(world) == [2]
    world.serve_all()
    assert sorted(world.processes) == [3, 4]
    assert sorted(process.record.state for process in world.all) == [READY, SPARE]


def test_a_successor_is_warm_before_anybody_goes():
    """A warm-up that is required and fails is a start that failed."""
    world = World(min_workers=1, max_workers=1, warmups="r").begin()
    world.replace(world.processes[1])
    world.get_ready(world.processes[2])
    assert ready(world) == [1]
    world.warm(world.processes[2].record)
    assert ready(world) == [1]
    world.serve_all()
    assert ready(world) == [2]


def test_a_private_session_keeps_its_worker_while_another_serves_in_its_place():
    """The fresh process is for whoever comes; the old one goes with its session."""
    world = World(min_workers=1, max_workers=1, isolation="process").begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.replace(world.processes[1])
    assert session.worker.id == 1
    world.serve_all()
    assert ready(world) == [2]
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, call.worker.id) == ("ok", 1)
    world.close_session(session)
    world.serve_all()
    assert sorted(world.processes) == [2]


def test_closing_ends_those_that_go_and_those_that_come():
    """Nothing of a replacement is left."""
    world = World(min_workers=1, max_workers=1).begin()
    world.replace(world.processes[1])
    world.close(0.0)
    world.serve_all()
    world.check_over()


def test_a_pool_that_drains_goes_on_replacing():
    """What is queued is served meanwhile."""
    world = World(min_workers=1, max_workers=1).begin()
    calls = [world.submit() for _ in range(3)]
    world.replace(world.processes[1])
    world.machine.drain_pool(world.now)
    world.run_out()
    assert [call.ending for call in calls] == ["ok"] * 3


def test_a_worker_that_is_kept_goes_for_its_age_all_the_same():
    """Its time may have come while it was to be replaced for another reason."""
    world = World(min_workers=1, max_workers=1, max_lifetime=10.0).begin()
    (process,) = world.all
    world.replace(process)
    world.advance(12.0)
    world.keep(process)
    world.run_out()
    world.serve_all()
    assert process.record.reason == "max_lifetime"


def test_a_spare_steps_in_for_the_next_as_soon_as_it_has_its_turn():
    """It need not wait until the one before is gone."""
    world = World(min_workers=1, max_workers=1, spare_workers=2).begin()
    for worker_id in (2, 1):
        world.replace(world.processes[worker_id])
    assert ready(world) == [1]
    world.get_ready(world.processes[4])
    assert ready(world) == [3]


def test_spares_step_in_one_after_another_when_all_are_to_go():
    """One that steps in and is to go itself has its turn at once: the next one stands in for it."""
    world = World(min_workers=0, max_workers=1, spare_workers=2).begin()
    for process in world.all:
        world.replace(process)
    for _ in range(20):
        world.submit()
    world.advance(1.0)
    assert ready(world) == [2]
    assert world.records.workers[1].state == "draining"
