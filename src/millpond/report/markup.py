"""Text and tables as HTML: whatever a text holds, it is shown and never obeyed."""

from __future__ import annotations

import html
import re

from millpond.report.contents import Cell, Table
from millpond.report.ticks import written

# Control characters, halves of surrogate pairs and what is no character: no HTML holds them.
UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

NUMBER = re.compile("[-0-9.,]+( %)?")
LONG = 40  # characters: such a cell keeps a width to be read in, and the table scrolls


def escaped(text: str) -> str:
    """The text for an element or an attribute; characters that HTML cannot hold are shown as replaced."""
    return html.escape(UNSHOWN.sub("\ufffd", text), quote=True)


def paragraph(text: str) -> str:
    """A note, or nothing."""
    return f"<p>{escaped(text)}</p>" if text else ""


def table(shown: Table, is_titled: bool = True) -> str:
    """A table that scrolls by itself where the screen is narrower, and can be reached with the keyboard."""
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in shown.head)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in shown.rows)
    name = escaped(shown.title)
    title = f"<h3>{name}</h3>" if is_titled else ""
    return (
        f'{title}{paragraph(shown.note)}<div class="scroll" role="region" aria-label="{name}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(value: Cell) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, str):
        kind = "number" if NUMBER.fullmatch(value) else "long" if len(value) > LONG else ""
        return f'<td class="{kind}">{escaped(value)}</td>' if kind else f"<td>{escaped(value)}</td>"
    return f'<td class="number">{written(float(value))}</td>'
