"""The exit codes of all commands and what they mean, as the table in `docs/command-line.md` says it."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = CANNOT_LISTEN = 3
DENIED = CANNOT_OPEN = 4
INTERRUPTED = 130

MEANINGS = {
    OK: "it was done",
    FAILED: "it was asked for and failed: the call's error, a wrong finding of `doctor`, a wrong answer of `demo`",
    USAGE: "the command line, a variable or the file is wrong; nothing was done",
    UNREACHABLE: "no server answers there (`serve`, `demo`: it cannot listen there)",
    DENIED: "the server does not let this token in, or not for that (`serve`, `demo`: a pool cannot open)",
    INTERRUPTED: "Ctrl-C",
}
