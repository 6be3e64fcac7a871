"""A policy in a process of its own: rehearsing takes time that the pool's loop has not, and a user's policy may too.

A thread talks to the process, so that nobody waits for it; the process has the lowest priority, is started with the
first question, started again when it is found dead, and ended with the pool.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import cloudpickle

from millpond.environment import without_secrets
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Mode, Policy, Proposal
from millpond.queue_thread import QueueThread
from millpond.slo import Slo

ANSWER_S = 60.0  # a policy has for one answer; one that takes longer is ended
AGAIN_S = 30.0  # before a process that died is started again; it may die of what it was asked
CLOSE_S = 2.0
NICE = 15
# The priority comes first: importing numpy is half a second's work.
PROGRAM = f"import os; os.nice({NICE}); from millpond.optimizer.side_program import main; main()"
WAITING = 2  # questions; a policy that is slower is asked less often

Answer = Proposal | str  # or why there is none
Then = Callable[[Answer], object]


class SidePolicy:
    """Asks one policy. `then` is called on the thread that talks to the process."""

    def __init__(self, named: str | type[Policy], slo: Slo, mode: Mode, low: int, high: int) -> None:
        self._made_of = named, slo, mode, low, high
        self._asker: QueueThread[tuple[Observation, Then]] = QueueThread(
            "millpond-rehearsal", self._work, limit=WAITING
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._start_at = 0.0
        self._is_closed = False
        self.starts = 0  # of the process

    @property
    def pid(self) -> int | None:
        """The process's, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def ask(self, seen: Observation, then: Then) -> bool:
        """Have the policy propose something; whether it will be asked. Never waits."""
        return self._asker.put((seen, then))

    def end(self) -> None:
        """Begin to end the process; whoever waits for an answer is told that there is none. Never waits."""
        # The thread may be starting the process at this moment, and looks whether it is closed afterwards.
        self._is_closed = True
        process = self._process
        if process is not None:
            process.kill()
        self._asker.finish()

    def close(self) -> None:
        """End the process; takes two seconds at most."""
        self.end()
        self._asker.close(CLOSE_S)
        self._end()

    def _work(self, batch: list[tuple[Observation, Then]]) -> None:
        for seen, then in batch:
            then(self._answer(seen))

    def _answer(self, seen: Observation) -> Answer:
        try:
            connection = self._connection or self._start()
            connection.send(seen)
            return self._receive(connection)
        except (EOFError, OSError, subprocess.SubprocessError) as error:
            code = self._end()
            self._start_at = time.monotonic() + AGAIN_S
            how = str(error) or f"it ended with code {code}"
            return f"The policy's process gave no answer ({how}); another is started."

    def _receive(self, connection: Connection) -> Answer:
        if not connection.poll(ANSWER_S):
            raise TimeoutError(f"none in {ANSWER_S:.0f} s")
        answer = connection.recv()
        if isinstance(answer, Proposal):
            return answer
        return f"The policy raised {answer}."

    def _start(self) -> Connection:
        """Start the process and give it the policy, which is pickled by value where it cannot be imported."""
        if time.monotonic() < self._start_at:
            raise ConnectionError("it died a moment ago")
        ours, theirs = socket.socketpair()
        self._connection = connection = Connection(ours.detach())
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # an interrupt from the terminal is the program's
                env={**without_secrets(os.environ), "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            )
        if self._is_closed:
            raise ConnectionError("the pool is closed")
        self.starts += 1
        connection.send_bytes(cloudpickle.dumps(self._made_of))
        if not connection.poll(ANSWER_S):
            raise TimeoutError(f"it did not begin within {ANSWER_S:.0f} s")
        if isinstance(told := connection.recv(), str):
            raise ConnectionError(told)
        return connection

    def _end(self) -> int | None:
        """End what is left of the process; how it ended, if it had."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        process, self._process = self._process, None
        if process is None:
            return None
        code = process.poll()
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(CLOSE_S)
        return code
