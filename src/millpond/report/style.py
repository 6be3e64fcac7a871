"""How a page looks: one sheet for narrow and wide, light and dark; a test holds its colours to their contrast.

Series differ by colour and by dash, so that they can be told apart without colours.
"""

from __future__ import annotations

LIGHT = {
    "page": "#ffffff",
    "text": "#1b1f24",
    "faint": "#59616b",
    "grid": "#d9dee4",
    "edge": "#767f8a",
    "good": "#1a6b2d",
    "bad": "#b3202a",
    "series-1": "#1f5fbf",
    "series-2": "#a34f00",
    "series-3": "#2a7a35",
    "series-4": "#7b3fa0",
    "series-5": "#b3202a",
    "series-6": "#59616b",
}
DARK = {
    "page": "#14171b",
    "text": "#e6e9ed",
    "faint": "#a7b0ba",
    "grid": "#343a42",
    "edge": "#7d8792",
    "good": "#7fd18b",
    "bad": "#ff8f8f",
    "series-1": "#79b0ff",
    "series-2": "#ffb066",
    "series-3": "#7fd18b",
    "series-4": "#c99cf2",
    "series-5": "#ff8f8f",
    "series-6": "#a7b0ba",
}
DASHES = ("", "7 3", "2 3", "10 3 2 3", "4 2", "12 4")  # of a series, in the order of their colours

SHEET = """
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem; }
p { margin: .5rem 0; }
.verdict { border-left: .3rem solid var(--edge); padding: .4rem .8rem; font-size: 1.1rem; font-weight: 600; }
.good { border-color: var(--good); } .good b { color: var(--good); }
.bad { border-color: var(--bad); } .bad b { color: var(--bad); }
figure { margin: 0; }
figure p, .scroll, summary { font-size: .9rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: .3rem 0; padding: 0;
  font-size: .9rem; }
.legend svg { width: 2rem; height: .8rem; margin-right: .4rem; vertical-align: middle; }
.plot { padding: 1.6rem 1.2rem 3rem 3.4rem; }
.plot > svg { display: block; width: 100%; height: 15rem; overflow: visible; }
svg text { fill: var(--faint); font-size: .8rem; }
.grid { stroke: var(--grid); } .axis { stroke: var(--edge); }
.limit { stroke: var(--text); stroke-dasharray: 1 3; }
svg .limit-name { fill: var(--text); stroke: var(--page); stroke-width: 4px; paint-order: stroke; }
.series { fill: none; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
.band { fill-opacity: .2; stroke-opacity: 0; } .band.thin { fill-opacity: .1; }
.area { fill-opacity: .25; stroke-width: 1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
th { border-bottom-color: var(--edge); }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.long { min-width: 16rem; }
summary { cursor: pointer; color: var(--faint); }
:focus-visible { outline: 2px solid var(--series-1); outline-offset: 2px; }
"""


def sheet() -> str:
    """The whole style sheet."""
    series = "".join(
        f".series-{number} {{ stroke: var(--series-{number}); stroke-dasharray: {dash or 'none'}; }}\n"
        f".area.series-{number}, .band.series-{number} {{ fill: var(--series-{number}); }}\n"
        for number, dash in enumerate(DASHES, 1)
    )
    dark = f"@media (prefers-color-scheme: dark) {{ {_root(DARK)} }}\n"
    return f"{_root(LIGHT)}\n{dark}{SHEET}{series}"


def _root(colours: dict[str, str]) -> str:
    return f":root {{ {' '.join(f'--{name}: {colour};' for name, colour in colours.items())} }}"
