"""The built site: made without a warning, complete, and read without another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest

import millpond
from millpond import testing
from tests.docs.pages import PAGES, ROOT, examples
from tests.docs.test_diagrams import SHOWN
from tests.docs.test_mentions import FACES, INNER
from tests.needs import need

need("mkdocs", "mkdocstrings", "mkdocstrings_handlers")

LOADED = {"src", "srcset", "data", "poster", "style"}  # attributes whose value a browser fetches, or may
FOREIGN = re.compile(r"^\s*(https?:)?//")
FOREIGN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//")
FOREIGN_SCRIPT = re.compile(r"[\"'`](?:https?:)?//\w")
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", re.DOTALL)
IMPORT = re.compile(r"^from (millpond[\w.]*) import ([\w, ]+)$", re.MULTILINE)


class Page(HTMLParser):
    """What one page loads from other hosts, and the ids and the text it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.ids: set[str] = set()
        self.within: list[str] = [""]
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.within.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.add(value or "")
            elif name in LOADED or (tag, name) == ("link", "href"):
                self.foreign += [value] if value and is_foreign(name, value) else []

    def handle_endtag(self, tag: str) -> None:
        self.within.append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.within[-1] == "script":
            self.foreign += FOREIGN_SCRIPT.findall(COMMENT.sub("", data))
        elif self.within[-1] == "style":
            self.foreign += FOREIGN_STYLE.findall(data)


def is_foreign(attribute: str, value: str) -> bool:
    if attribute == "style":
        return bool(FOREIGN_STYLE.search(value))
    return any(FOREIGN.match(one) for one in value.split(","))


def foreign(path: Path) -> list[str]:
    """What a file of the site makes a browser load from another host."""
    text = path.read_text() if path.suffix in (".html", ".css", ".js") else ""
    if path.suffix == ".html":
        return Page(text).foreign
    pattern = FOREIGN_STYLE if path.suffix == ".css" else FOREIGN_SCRIPT
    return pattern.findall(COMMENT.sub("", text))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Where the site was built, and how that ended."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)
    return directory, ended


@pytest.fixture(scope="module")
def reference(built) -> Page:
    return Page((built[0] / "reference" / "index.html").read_text())


def test_the_site_is_built_without_a_warning(built):
    """No link leads nowhere, every name that the reference asks for is found, and nothing else is complained about."""
    ended = built[1]
    complaints = [line for line in f"{ended.stdout}{ended.stderr}".splitlines() if not line.startswith("INFO ")]
    assert (ended.returncode, complaints) == (0, [])


def test_no_page_loads_anything_from_another_host(built):
    """Fonts, scripts, styles and pictures come with the site: it is read offline, and nobody else sees its readers."""
    files = [path for path in built[0].rglob("*") if path.is_file()]
    assert {".html", ".css", ".js"} <= {path.suffix for path in files}
    assert {path.name: found for path in files if (found := foreign(path))} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/a.js"></script>'),
        ("b.html", '<link rel="stylesheet" href="//fonts.example/css">'),
        ("c.html", '<script>load("https://cdn.example/a.js")</script>'),
        ("d.html", "<p style=\"background: url('https://cdn.example/a.png')\">"),
        ("e.html", "<style>@import '//fonts.example/css'</style>"),
        ("f.css", "@font-face { src: url(https://fonts.example/a.woff2) }"),
        ("g.js", 'import("https://cdn.example/mermaid.js")'),
    ],
)
def test_what_is_loaded_from_another_host_is_found(tmp_path, name, text):
    """The test above can fail."""
    path = tmp_path / name
    path.write_text(text)
    assert len(foreign(path)) == 1


def public_names() -> Iterator[tuple[str, object]]:
    """What `millpond` and `millpond.testing` offer, and what the pages' examples import."""
    for name in (*millpond._HOMES, *millpond._errors()):
        yield f"millpond.{name}", getattr(millpond, name)
    for name in testing.__all__:
        yield f"millpond.testing.{name}", getattr(testing, name)
    for page, text in PAGES.items():
        for example in examples(page, text):
            for module, names in IMPORT.findall(example.code):
                for name in names.split(", "):
                    yield f"{module}.{name}", getattr(import_module(module), name)


def places(name: str, value: object) -> set[str]:
    """The ids under which a name may stand in the reference: as it is imported, or where it is defined."""
    return {name, f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"}


def test_every_public_name_is_in_the_reference(reference):
    """What can be imported has its signature and docstring there."""
    assert sorted({name for name, value in public_names() if not places(name, value) & reference.ids}) == []


def test_the_reference_has_the_verbs_of_users_and_no_others(reference):
    """Methods and properties of what users hold are there, those for the other parts of Millpond are not."""
    verbs = {(face, name) for face in FACES for name in vars(face) if not name.startswith("_")}
    documented = {(face, name) for face, name in verbs if getattr(vars(face)[name], "__doc__", "")}
    shown = {
        (face, name)
        for face, name in documented
        if {f"{place}.{name}" for place in places(f"millpond.{face.__name__}", face)} & reference.ids
    }
    assert sorted(str(missing) for missing in {one for one in documented if one[1] not in INNER} - shown) == []
    assert sorted(str(inner) for inner in shown if inner[1] in INNER) == []


@pytest.mark.parametrize("page", SHOWN)
def test_the_site_shows_every_step_of_the_states(built, page):
    """Diagrams are tables there, with the same steps."""
    shown = Page((built[0] / Path(page).stem / "index.html").read_text()).text
    rows = [f"{before}\n{after}\n" for table in SHOWN[page] for before, after in table]
    assert "mermaid" not in shown
    assert [row for row in rows if row not in shown] == []
