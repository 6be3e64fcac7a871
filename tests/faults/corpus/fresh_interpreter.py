"""What plain cloudpickle carries to a fresh interpreter and back: the reference of the corpus.

As a program: loads, probes and pickles again what it is given on standard input, each kind in a fork of its own.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from typing import Any

import cloudpickle

from tests.faults.corpus.registry import Kind

Answers = dict[str, str]


def answers(kinds: dict[str, Kind]) -> dict[str, Answers]:
    """By kind what its probe says there, and what it says here of the value that came back."""
    streams = {name: _stream(kind) for name, kind in kinds.items()}
    sent = pickle.dumps({name: stream for name, stream in streams.items() if isinstance(stream, bytes)})
    ended = subprocess.run(
        [sys.executable, __file__, *libraries()], input=sent, stdout=subprocess.PIPE, check=True, timeout=60
    )
    came = pickle.loads(ended.stdout)
    there = {name: came[name][0] if name in came else str(stream) for name, stream in streams.items()}
    back = {name: _back(came[name][1], kinds[name]) if name in came else there[name] for name in kinds}
    return {"there": there, "back": back}


def libraries() -> list[str]:
    """What is slow to import, of what this process has imported."""
    return [
        name for name in ("pydantic", "pandas", "sklearn.linear_model", "scipy.sparse", "dspy") if name in sys.modules
    ]


def _stream(kind: Kind) -> bytes | str:
    try:
        return cloudpickle.dumps((kind.probe, kind.make()))
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}"


def _back(stream: bytes, kind: Kind) -> str:
    try:
        return repr(kind.probe(cloudpickle.loads(stream)))
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}"


def _looked_at(stream: bytes) -> tuple[str, bytes]:
    try:
        probe, value = cloudpickle.loads(stream)
        again = cloudpickle.dumps(value)
        return repr(probe(value)), again
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}", b""


def _in_a_fork(stream: bytes) -> Any:
    reading, writing = os.pipe()
    if not os.fork():
        with os.fdopen(writing, "wb") as file:
            file.write(pickle.dumps(_looked_at(stream)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    os.wait()
    return pickle.loads(answer)


if __name__ == "__main__":
    for name in sys.argv[1:]:  # what many kinds need, once
        importlib.import_module(name)
    streams = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps({name: _in_a_fork(stream) for name, stream in streams.items()}))
