"""The program of the side process, in which a policy thinks; its one argument is the descriptor of a socket.

Reads observations from the socket and answers each with a proposal, or with the text of what the policy raised. Ends
when the socket closes or whoever started it is gone.
"""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection

import cloudpickle

from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.chosen import make_policy
from millpond.optimizer.policies.policy import Policy, Proposal

LOOK_S = 2.0  # between two looks whether the parent is still there


def serve(connection: Connection, parent: int) -> None:
    """Answer until nobody asks any more."""
    try:
        policy = make_policy(*cloudpickle.loads(connection.recv_bytes()))
        connection.send(policy.interval_s)
        while os.getppid() == parent:
            if connection.poll(LOOK_S):
                seen = connection.recv()
                connection.send(_answer(policy, seen))
    except (EOFError, OSError):
        return
    except Exception as error:  # the policy could not be made
        connection.send(_told(error))


def _answer(policy: Policy, seen: Observation) -> Proposal | str:
    try:
        return policy.propose(seen)
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def main() -> None:
    """Serve whoever started this process."""
    serve(Connection(int(sys.argv[1])), os.getppid())
