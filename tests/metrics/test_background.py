"""The thread for what may not hold the loop up."""

import logging

from millpond.metrics.background import Background


def test_a_job_that_raises_is_logged_and_the_next_is_done(caplog):
    """A process that cannot be looked at ends no collector."""
    background, done = Background("test"), []
    with caplog.at_level(logging.ERROR, "millpond.metrics"):
        background.put(lambda: 1 / 0)
        background.put(lambda: done.append(1))
        assert background.settle(10.0)
    background.close(10.0)
    assert done == [1]
    assert "a job failed" in caplog.text
