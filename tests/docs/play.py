"""Runs one example, the file named on the command line: top-level `await` is allowed, and what it opened is closed.

A program without top-level `await` is run as it is written, like any script.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from pathlib import Path
from typing import Any

from millpond.leftovers import LEFT_OPEN


async def play(code: Any, names: dict[str, Any]) -> None:
    try:
        await eval(code, names)
    finally:
        for pool in list(LEFT_OPEN):
            await pool.close()


def main() -> None:
    path = Path(sys.argv[1])
    code = compile(path.read_text(), str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = vars(sys.modules["__main__"])
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(play(code, names))
    else:
        exec(code, names)


if __name__ == "__main__":
    main()
