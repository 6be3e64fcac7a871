"""The page: one file that loads nothing, runs nothing, and may be sent to anybody."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from millpond.report.contents import Chart, Report, Section, Verdict
from millpond.report.drawing import figure
from millpond.report.markup import escaped, paragraph, table
from millpond.report.style import sheet

POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # what the browser is to refuse, should a text get through


def html(report: Report) -> str:
    """The report as HTML."""
    title = escaped(report.title)
    numbers = itertools.count(1)
    sections = "\n".join(_section(section, numbers) for section in report.sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>\n{sheet()}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{_verdict(report.verdict)}\n{paragraph(report.note)}\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _verdict(verdict: Verdict) -> str:
    kind, sign = {True: (" good", "<b>✓</b> "), False: (" bad", "<b>✗</b> "), None: ("", "")}[verdict.is_good]
    return f'<p class="verdict{kind}">{sign}{escaped(verdict.text)}</p>'


def _section(section: Section, numbers: Iterator[int]) -> str:
    parts = [figure(part, next(numbers)) if isinstance(part, Chart) else table(part) for part in section.parts]
    inside = "\n".join([f"<h2>{escaped(section.title)}</h2>", paragraph(section.note), *parts])
    return f"<section>\n{inside}\n</section>"
