"""The exit codes of all commands; the table in `docs/command-line.md` is printed from here."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
DENIED = 4
INTERRUPTED = 130

MEANINGS = {
    OK: "it was done",
    FAILED: "it was asked for and failed: the call's error, a wrong finding of `doctor`, a pool that cannot start",
    USAGE: "the command line, a variable or the file is wrong; nothing was done",
    UNREACHABLE: "no server answers there",
    DENIED: "the server does not let this token in, or not for that",
    INTERRUPTED: "Ctrl-C",
}
