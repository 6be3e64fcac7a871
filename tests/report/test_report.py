"""A report is one page that loads nothing, runs nothing and shows whatever texts and numbers it was given."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from millpond.report import Chart, Limit, Report, Section, Series, Table, Verdict, html
from millpond.report.style import DARK, LIGHT

VOID = {"meta"}  # elements without an end
HOSTILE = "</style></title><script>alert('&\"')</script>\x00\x1b[31m\ud800"


class Page(HTMLParser):
    """What a page consists of; fails where an element is not closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def report_of(*parts: Chart | Table, text: str = "a text") -> Report:
    verdict = Verdict(text=text, is_good=True)
    return Report(title=text, verdict=verdict, note=text, sections=[Section(title=text, parts=parts, note=text)])


def series(count: int = 5, shape: str = "step", name: str = "workers") -> Series:
    times = np.linspace(0.0, 3600.0, count)
    return Series(name=name, times=times, values=np.arange(count) % 7, shape=shape)  # type: ignore[arg-type]


def chart(*shown: Series, **rest: object) -> Chart:
    return Chart(title="Workers", unit="workers", series=shown or (series(),), **rest)  # type: ignore[arg-type]


def table_of(page: str, number: int = 0) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", re.findall(r"<table>.*?</table>", page)[number])
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


@pytest.mark.parametrize("shape", ["line", "step", "area"])
@pytest.mark.parametrize("count", [0, 1, 5, 10_000])
def test_a_page_is_well_formed_and_stands_alone(shape, count):
    """Every element is closed, no script runs, and nothing is loaded from elsewhere."""
    table = Table(title="t", head=["a", "b"], rows=[["x", 1.0], [None, True]])
    text = html(report_of(chart(series(count, shape), limits=[Limit(name="most", value=9.0)]), table))
    page = Page(text)
    assert len(page.ids) == len(set(page.ids)) == 2
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_whatever_a_text_holds_is_shown_and_not_obeyed():
    """Markup in any text is text, and what a file of UTF-8 cannot hold is replaced."""
    parts = (
        Chart(
            title=HOSTILE,
            unit=HOSTILE,
            note=HOSTILE,
            series=[series(name=HOSTILE)],
            limits=[Limit(name=HOSTILE, value=1)],
        ),
        Table(title=HOSTILE, head=[HOSTILE], rows=[[HOSTILE]], note=HOSTILE),
    )
    text = html(report_of(*parts, text=HOSTILE))
    page = Page(text.encode().decode())
    assert "script" not in page.tags
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", "\ufffd")
    assert sum(shown in told for told in page.texts) >= 12


def test_few_numbers_are_told_one_by_one():
    """The table of a chart with few points has each of them, in the unit of its axis."""
    shown = Series(name="wanted", times=[0.0, 600.0, 5400.0], values=[1, 3, 2.5], shape="step")
    assert table_of(html(report_of(chart(shown)))) == [
        ["at, minutes", "wanted"],
        ["0", "1"],
        ["10", "3"],
        ["90", "2.5"],
    ]


def test_many_numbers_are_told_by_mean_and_highest():
    """A step counts by how long it held a value, also one that began before."""
    times = np.arange(0.0, 2400.0, 10.0)
    shown = Series(name="wanted", times=times, values=np.where(times % 100 == 0, 10.0, 0.0), shape="step")
    rows = table_of(html(report_of(chart(shown, start=0.0, end=2400.0))))
    assert rows[0] == ["from, minutes", "wanted, mean", "wanted, highest"]
    assert rows[1:] == [[f"{minute:.3g}", "1", "10"] for minute in np.arange(0, 40, 100 / 60)]


def test_no_peak_is_lost_however_many_points_there_are():
    """The highest of 100,000 values reaches as high in the picture as it is."""
    values = np.ones(100_000)
    values[61_803] = 50.0
    shown = Series(name="calls", times=np.arange(100_000.0), values=values)
    text = html(report_of(chart(shown)))
    band = re.search(r'class="band thin series-1" d="([^"]*)"', text)
    assert band is not None
    assert min(float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", band[1])) == 0.0
    assert len(text) < 60_000


def test_what_is_not_finite_is_a_gap_and_told_as_such():
    """An endless wait or one that is unknown ends the line, and the table has a sign for each."""
    shown = Series(name="wait", times=[0, 1, 2, 3, 4], values=[1.0, 2.0, float("inf"), 3.0, float("nan")])
    text = html(report_of(chart(shown)))
    assert re.findall(r'class="series series-1" d="([^"]*)"', text)[-1].count("M") == 2
    assert [row[1] for row in table_of(text)[1:]] == ["1", "2", "∞", "3", "-"]


def test_a_step_holds_its_value_from_before_the_first_second_shown():
    """A chart of a part of the time begins with what was the case."""
    shown = Series(name="workers", times=[0.0, 50.0], values=[4.0, 2.0], shape="step")
    text = html(report_of(chart(shown, start=10.0, end=100.0)))
    assert 'd="M0.0 0.0H444.4V500.0H1000.0V500.0"' in text


@pytest.mark.parametrize(
    ("number", "told"),
    [(0.0, "0"), (1234567.8, "1,234,568"), (12.345, "12.3"), (0.01234, "0.0123"), (-2.0, "-2"), (1e-9, "0")],
)
def test_a_number_has_as_many_digits_as_it_deserves(number, told):
    """Three of them that count, and no fraction from a thousand on."""
    assert table_of(html(report_of(Table(title="t", head=["n"], rows=[[number]]))))[1] == [told]


@pytest.mark.parametrize(
    ("span_s", "told"),
    [
        (100, ["0", "30", "60", "90"]),
        (3480, ["0", "15", "30", "45"]),
        (86_400, ["0", "6", "12", "18", "24"]),
        (23 * 86_400, ["0", "5", "10", "15", "20"]),
        (2, ["0", "0.5", "1", "1.5", "2"]),
    ],
)
def test_marks_of_time_are_those_of_a_clock(span_s, told):
    """Quarters of an hour and of a day, in the unit that the span has some of."""
    text = html(report_of(chart(Series(name="n", times=[0, span_s], values=[1, 1]))))
    assert re.findall(r'text-anchor="middle">([^<]*)<', text) == told


@pytest.mark.parametrize(
    ("start", "span_s", "told"),
    [
        (1_700_000_000.0, 60, ["22:13:30", "22:13:45", "22:14:00", "22:14:15"]),
        (1_700_000_000.0, 900, ["22:15", "22:20", "22:25"]),
        (1_700_000_000.0, 86_400, ["Nov 15", "06:00", "12:00", "18:00"]),
        (1_700_000_000.0, 10 * 86_400, ["Nov 15", "Nov 17", "Nov 19", "Nov 21", "Nov 23"]),
    ],
)
def test_a_chart_with_an_epoch_has_marks_at_round_times_of_day(start, span_s, told):
    """In UTC, midnight as a date; the rows of its table are times of day too."""
    shown = Series(name="n", times=[0, span_s], values=[1, 1])
    text = html(report_of(chart(shown, epoch=start)))
    assert re.findall(r'text-anchor="middle">([^<]*)<', text) == told
    assert "time, UTC" in text
    assert table_of(text)[:2] == [["at, UTC", "n"], ["22:13:20", "1"]]


def test_a_long_text_keeps_a_width_in_which_it_can_be_read():
    """Its table scrolls on a narrow screen; a share stands with the numbers."""
    text = html(report_of(Table(title="t", head=["a", "b", "c"], rows=[["x" * 41, "31.7 %", "short"]])))
    assert f'<td class="long">{"x" * 41}</td><td class="number">31.7 %</td><td>short</td>' in text


def test_text_that_is_a_number_stands_with_the_numbers():
    """A figure that somebody wrote with as many digits as it needs."""
    text = html(report_of(Table(title="t", head=["n", "m"], rows=[["99.01", "x 1"]])))
    assert '<td class="number">99.01</td><td>x 1</td>' in text


def test_lengths_that_do_not_fit_are_refused_where_they_are_put_together():
    """Times without values, and rows that are no rows of their table."""
    with pytest.raises(ValueError, match="2 times, and 1 values"):
        Series(name="n", times=[0, 1], values=[1])
    with pytest.raises(ValueError, match="1 cells under a head of 2"):
        Table(title="t", head=["a", "b"], rows=[["x"]])


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(colours):
    """Text 4.5 to 1 on its page, lines that carry meaning 3 to 1; grid lines carry none."""
    page = luminance(colours["page"])
    for name, colour in colours.items():
        darker, lighter = sorted([page, luminance(colour)])
        wanted = {"page": 1.0, "grid": 1.0, "edge": 3.0}.get(name, 3.0 if name.startswith("series") else 4.5)
        assert (lighter + 0.05) / (darker + 0.05) >= wanted, name
