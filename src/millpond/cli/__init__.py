"""The command line: `millpond`. Uses the pool's public verbs only."""

from __future__ import annotations

from millpond.cli.entry import main as main
