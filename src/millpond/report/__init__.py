"""Reports as one file: charts that need no script, tables and a verdict, made of numbers and texts alone."""

from millpond.report.contents import Chart, Limit, Report, Section, Series, Table, Verdict
from millpond.report.page import html

__all__ = ["Chart", "Limit", "Report", "Section", "Series", "Table", "Verdict", "html"]
