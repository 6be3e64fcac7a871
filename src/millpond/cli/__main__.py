"""The command line, for where the `millpond` script is not installed: `python -m millpond.cli`."""

from __future__ import annotations

from millpond.cli.entry import main

if __name__ == "__main__":
    main()
