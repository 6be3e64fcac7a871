"""Runs one example, the file named on the command line: top-level `await` is allowed, and what it opened is closed.

A program without top-level `await` is run as it is written, like any script.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import sys
import threading
from pathlib import Path
from typing import Any

from millpond.leftovers import LEFT_OPEN
from millpond.logger.delivery import DELIVERY


class InOrder(io.TextIOWrapper):
    """The program's output, in which what it prints comes after the log records said before that: their handlers are
    called by another thread.
    """

    def write(self, text: str) -> int:
        if threading.current_thread() is threading.main_thread():
            DELIVERY.settle(20.0)
        return super().write(text)


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
    sys.stdout = InOrder(sys.stdout.buffer, encoding="utf-8", line_buffering=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(play(code, names))
    else:
        exec(code, names)


if __name__ == "__main__":
    main()
