"""The driver's beat: twice a second it lets the engine look at its channels, and sees whether the pool stood still."""

from __future__ import annotations

import millpond
from millpond.testing import FakeEngine, ManualClock


class Checked(FakeEngine):
    """Counts the looks at its channels; the next may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0
        self.raises = False

    def check(self) -> None:
        self.checks += 1
        if self.raises:
            raise OSError("a channel cannot be looked at")


def pool_of(engine: FakeEngine, clock: ManualClock) -> millpond.Pool:
    return millpond.Pool(None, engine=engine, clock=clock, min_workers=1, max_workers=1, metrics=False)


async def test_the_engine_looks_at_its_channels_twice_a_second():
    """Also while the pool has nothing to do: what stands still in a channel is found by nobody else."""
    engine, clock = Checked(), ManualClock()
    async with pool_of(engine, clock):
        before = engine.checks
        await clock.advance(10.0)
        assert engine.checks - before == 20


async def test_no_channel_is_judged_by_time_in_which_the_pool_stood_still():
    """What came in meanwhile is not read yet: the next look is half a second in which the pool ran later."""
    engine, clock = Checked(), ManualClock()
    async with pool_of(engine, clock):
        await clock.advance(10.2)
        before = engine.checks
        clock.jump(30.0)
        await clock.settle()
        assert engine.checks == before
        await clock.advance(1.0)
        assert engine.checks > before


async def test_a_look_that_raises_is_noted_and_made_again():
    """It costs nobody their pool."""
    engine, clock = Checked(), ManualClock()
    async with pool_of(engine, clock) as pool:
        engine.raises = True
        await clock.advance(1.0)
        engine.raises = False
        before = engine.checks
        await clock.advance(1.0)
        assert engine.checks > before
        assert sum(pool.statistics().faults.values()) >= 2


async def test_a_closed_pool_has_no_beat():
    """Nothing is left on its clock."""
    engine, clock = Checked(), ManualClock()
    async with pool_of(engine, clock):
        pass
    before = engine.checks
    await clock.advance(5.0)
    assert engine.checks == before
