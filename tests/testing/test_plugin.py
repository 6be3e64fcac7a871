"""The pytest plugin, used in a test suite of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import millpond

# Where the package under test is, whether it is installed or not; and no plugins but the one that is named.
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(millpond.__file__).parents[1]),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}
SUITE = """
import asyncio

class Reader:
    def read(self, text):
        return text.upper()

def test_uses_a_pool(millpond_pool, millpond_events):
    async def use():
        pool = millpond_pool(Reader, max_workers=2)
        events = millpond_events(pool)
        async with pool:
            assert await pool.call("read", "text") == "TEXT"
        assert events.of("pool.close")
    asyncio.run(use())

def test_leaves_a_pool_open(millpond_pool):
    async def use():
        await millpond_pool(Reader, name="forgotten").open()
    asyncio.run(use())
"""


def test_its_fixtures_make_pools_and_find_those_left_open(tmp_path):
    """A pool on the fake engine in one line; forgetting to close it fails the test, by the pool's name."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "millpond.testing.plugin", "."]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert "2 passed, 1 error" in done.stdout
    assert "the test left pools open: forgotten" in done.stdout


def test_importing_the_testing_tools_needs_no_pytest(tmp_path):
    """Programs may use them where it is not installed."""
    program = (
        "import sys, millpond.testing as testing\n"
        "testing.FakeEngine, testing.ManualClock, testing.EventRecorder\n"
        "assert 'pytest' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=ENVIRONMENT, timeout=60)
