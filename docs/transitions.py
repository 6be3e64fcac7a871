"""A hook of the site's builder: a diagram of states becomes a table of its transitions.

To draw mermaid in a browser needs a script of a megabyte from another host. Who reads the pages in a repository sees
the diagrams; the site shows the same steps.
"""

from __future__ import annotations

import re
from typing import Any

from tables import table

DIAGRAM = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STEP = re.compile(r"^    (.+?) --> (.+?)(?:: (.+))?$", re.MULTILINE)
BEFORE_THE_FIRST = AFTER_THE_LAST = "[*]"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page, before it makes HTML of it."""
    shown = DIAGRAM.sub(lambda found: transitions(found[1]), markdown)
    if "```mermaid" in shown:
        raise ValueError("only diagrams of states can be shown: stateDiagram-v2")
    return shown


def transitions(diagram: str) -> str:
    """The steps of one diagram, the first state above, the last below."""
    rows = [["from", "to", "when"]]
    for before, after, why in STEP.findall(diagram):
        rows.append(["*begin*" if before == BEFORE_THE_FIRST else before, after, why])
    return table([[cell if cell != AFTER_THE_LAST else "*end*" for cell in row] for row in rows])
