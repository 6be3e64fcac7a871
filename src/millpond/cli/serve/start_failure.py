"""Why a pool could not open, as its user wants to read it: the frames of their code, none of ours."""

from __future__ import annotations

import re
from pathlib import Path

import millpond

OURS = str(Path(millpond.__file__).parent)
FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.*))?$')
HEAD = "Traceback (most recent call last):"
IMPORTING = "no worker can be started"  # the code could not be loaded; else a worker of it failed


def told(error: BaseException, pools: str) -> str:
    """One sentence where the handler could not be loaded; else a sentence and the user's own traceback last."""
    text = str(error)
    begin, _, trace = text.partition(HEAD)
    if not trace:
        return f"pool {pools!r}: {text}"
    frames = _own_frames(trace)
    last = text.rstrip().rpartition("\n")[2]
    if not begin.startswith(IMPORTING):
        return f"pool {pools!r} cannot open: {last}\n\n" + "\n".join([HEAD, *frames, last])
    where = ""
    if frames and (at := FRAME.match(frames[_last_frame(frames)])):
        where = f" ({at['file']}, line {at['line']})"
    return f"pool {pools!r} cannot open: its handler cannot be loaded: {last}{where}"


def _own_frames(trace: str) -> list[str]:
    """The lines of the frames that are neither ours nor of the import system."""
    kept: list[str] = []
    is_kept = False
    for line in trace.strip("\n").splitlines()[:-1]:
        if at := FRAME.match(line):
            is_kept = not at["file"].startswith((OURS, "<frozen", "<string")) and "importlib" not in at["file"]
        if is_kept:
            kept.append(line)
    return kept


def _last_frame(lines: list[str]) -> int:
    return max(index for index, line in enumerate(lines) if FRAME.match(line))
