"""A policy in a process of its own: it answers, may fail, and is gone with whoever asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

import millpond
from millpond.core import SizingRule
from millpond.environment import SECRETS
from millpond.optimizer import side_process
from millpond.optimizer.policies.policy import Proposal
from millpond.optimizer.side_process import SidePolicy
from millpond.slo import Slo
from tests.leftovers import Leftovers, wait_until
from tests.optimizer.made import observed


class Counting:
    """A policy that remembers: the floor is how often it was asked."""

    name = "counting"

    def __init__(self, slo, mode, low, high):
        self.interval_s = 1.0
        self.asked = 0

    def propose(self, seen):
        if seen.waiting == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if seen.waiting == 14:
            raise LookupError("no idea")
        self.asked += 1
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        return Proposal(SizingRule(floor=self.asked), f"It runs at niceness {nice}.")


class Unmade(Counting):
    """One that cannot be made."""

    def __init__(self, slo, mode, low, high):
        raise LookupError("no model")


class Asked:
    """A side policy that is asked from a test's thread."""

    def __init__(self, policy=Counting):
        self.policy = SidePolicy(policy, Slo(), "prompt", 0, 8)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.policy.close()

    def __call__(self, **fields):
        answers, done = [], threading.Event()

        def then(answer):
            answers.append(answer)
            done.set()

        assert self.policy.ask(observed(**fields), then)
        assert done.wait(60.0)
        return answers[0]


def test_a_policys_process_is_not_given_the_servers_token(monkeypatch):
    """Its code may be anybody's, as a handler's."""
    for name in SECRETS:
        monkeypatch.setenv(name, "canary")
    with Asked() as ask:
        ask()
        assert b"canary" not in Path(f"/proc/{ask.policy.pid}/environ").read_bytes()


def test_a_policy_is_made_once_and_remembers_what_it_was_asked():
    """In another process, at low priority, from a class that was given by value or by name."""
    left = Leftovers()
    with Asked() as ask:
        first, second = ask(), ask()
        assert (first.rule.floor, second.rule.floor) == (1, 2)
        assert first.reason == f"It runs at niceness {min(19, os.getpriority(os.PRIO_PROCESS, 0) + 15)}."
        process = psutil.Process(ask.policy.pid)
    wait_until(lambda: not process.is_running())
    left.wait_gone()
    with Asked("millpond.optimizer.policies.target:Target") as ask:
        assert ask(busy=7, ready=7).rule.floor == 10


def test_a_policy_that_raises_is_asked_again_and_one_that_dies_is_started_again(monkeypatch):
    """Neither costs more than the answer, which says what happened."""
    monkeypatch.setattr(side_process, "AGAIN_S", 0.0)
    with Asked() as ask:
        assert ask(waiting=14) == "The policy raised LookupError: no idea."
        assert ask().rule.floor == 1
        assert "gave no answer" in ask(waiting=13)
        assert ask().rule.floor == 1
        assert ask.policy.starts == 2


def test_a_process_that_dies_at_once_is_not_started_again_and_again():
    """It has half a minute's rest."""
    with Asked() as ask:
        assert "gave no answer" in ask(waiting=13)
        assert "it died a moment ago" in ask()
        assert ask.policy.starts == 1


def test_a_policy_that_cannot_be_made_says_why():
    """In the answer."""
    with Asked(Unmade) as ask:
        assert "LookupError: no model" in ask()


def test_a_process_that_is_just_being_started_ends_with_the_pool_too():
    """Whatever the thread that starts it is at."""
    before = {one.pid for one in psutil.Process().children()}
    for _ in range(5):
        policy = SidePolicy(Counting, Slo(), "prompt", 0, 8)
        policy.ask(observed(), lambda _: None)
        policy.close()
    wait_until(lambda: {one.pid for one in psutil.Process().children()} <= before)


def test_the_process_ends_when_the_program_is_killed():
    """Nobody is left who could end it."""
    program = (
        "import threading, time\n"
        "from millpond.optimizer.side_process import SidePolicy\n"
        "from millpond.slo import Slo\n"
        "from tests.optimizer.made import observed\n"
        "policy = SidePolicy('millpond.optimizer.policies.target:Target', Slo(), 'prompt', 0, 8)\n"
        "done = threading.Event()\n"
        "policy.ask(observed(), lambda _: done.set())\n"
        "done.wait()\n"
        "print(policy.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    side = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not side.is_running() or side.status() == psutil.STATUS_ZOMBIE)


class Clerk:
    """Something to call."""

    def greet(self, name: str) -> str:
        return f"hello {name}"


@pytest.mark.timeout(120)
async def test_a_pool_is_sized_by_a_policy_of_the_users_own():
    """It thinks elsewhere, its rule is adopted, and nothing of it is left when the pool is closed."""
    left = Leftovers()
    async with millpond.Pool(
        Clerk, min_workers=1, max_workers=3, optimizer=True, policy=Counting, handle_signals=False
    ) as pool:
        await pool.call("greet", "Ann")
        while pool.driver.view.rule.floor < 2:
            decision = await pool.optimizer.perform_optimization()
            assert decision.policy == "Counting"
            await asyncio.sleep(0)
        await pool.driver.until(lambda: pool.statistics().workers["ready"] >= 2)
        assert pool.optimizer.journal()[0].reason.startswith("It runs at niceness")
    left.wait_gone()
