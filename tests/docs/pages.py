"""Reads the pages: README and `docs/`, their examples, and what they name as code.

An example is a fenced block marked `python`. A comment that begins with `<!-- preamble` holds code that comes before
the page's next examples and is not shown; `<!-- not run: why -->` in front of one keeps it from being run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}

_PART = re.compile(
    r"<!-- preamble\n(?P<preamble>.*?)-->|<!-- not run: (?P<why>.+?) -->|^```python\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_TOLD = re.compile(r"# -> (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One block: where it stands, the code before it that is not shown, and why it is not run (if it is not)."""

    page: str
    line: int
    preamble: str
    code: str
    not_run: str

    @property
    def program(self) -> str:
        return f"{self.preamble}\n{self.code}"

    @property
    def told(self) -> list[str]:
        """What the block says it prints: the comments `# -> ...`, in order."""
        return _TOLD.findall(self.code)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples(name: str, page: str) -> Iterator[Example]:
    """The examples of one page."""
    preamble, not_run = "", ""
    for part in _PART.finditer(page):
        if part["preamble"] is not None:
            preamble = part["preamble"]
        elif part["why"] is not None:
            not_run = part["why"]
        else:
            line = page.count("\n", 0, part.start()) + 1
            yield Example(name, line, preamble, part["code"], not_run)
            not_run = ""


def code_words() -> set[str]:
    """Every word that stands in code, in a line or in a block; prose does not document a name by accident."""
    code = " ".join(found for page in PAGES.values() for found in _CODE.findall(page))
    return set(re.findall(r"[A-Za-z_][\w.]*", code)) | set(re.findall(r"\w+", code))
