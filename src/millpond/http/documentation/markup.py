"""The page as HTML. Every text that comes from a handler is escaped; no script and no style stands in the page."""

from __future__ import annotations

import json
from html import escape
from shlex import quote
from typing import Any, NamedTuple

from millpond.http.documentation.schemas import Schemas

_METHODS = ("get", "post", "put", "patch", "delete")


class Entry(NamedTuple):
    """One operation of the document."""

    path: str
    method: str
    said: dict[str, Any]

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return str(self.said["operationId"])


def page(document: dict[str, Any], root: str, base: str, *, role: str, by: str) -> str:
    """The whole page."""
    writing = _Page(document, root, base, by)
    title = escape(document["info"]["title"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="{escape(root)}/assets/icon.svg">
<link rel="stylesheet" href="{escape(root)}/assets/base.css">
<link rel="stylesheet" href="{escape(root)}/assets/docs.css">
<script type="module" src="{escape(root)}/assets/docs.js"></script>
<title>{title}</title>
</head>
<body>
<a class="skip" href="#content">Skip to the operations</a>
<header>
<h1>{title}</h1>
<p>Version <code>{escape(document["info"]["version"])}</code> ·
<a href="{escape(root)}/openapi.json">OpenAPI document</a> · you are here with the role <code>{escape(role)}</code></p>
{writing.token_field()}
</header>
<nav aria-label="Operations">
{writing.contents()}
</nav>
<main id="content">
{writing.sections()}
</main>
</body>
</html>
"""


class _Page:
    """Writes the parts of one page."""

    def __init__(self, document: dict[str, Any], root: str, base: str, by: str) -> None:
        self._document = document
        self._root = root
        self._base = base
        self._by = by
        self._schemas = Schemas(document["components"]["schemas"])
        entries = [
            Entry(path, method, item[method])
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item
        ]
        self._tags = {
            tag["name"]: [one for one in entries if tag["name"] in one.said["tags"]] for tag in document["tags"]
        }

    def token_field(self) -> str:
        """Where a token can be entered; who came with a cookie needs none."""
        if self._by == "cookie":
            return '<p class="quiet">Calls from this page use your login.</p>'
        if "security" not in self._document:
            return ""
        return """<form id="access" hidden>
<label for="token">Token for calls from this page</label>
<input id="token" type="password" autocomplete="off" spellcheck="false" placeholder="mp_…" aria-describedby="kept">
<p id="kept" class="quiet">It stays in this page, and is gone when you close or reload it.</p>
</form>"""

    def contents(self) -> str:
        """The table of contents."""
        return "\n".join(self._listed(tag, entries) for tag, entries in self._tags.items())

    def _listed(self, tag: str, entries: list[Entry]) -> str:
        items = [f'<li><a href="#{escape(one.anchor)}">{_name(one)}</a></li>' for one in entries]
        none = "" if items else '<li class="quiet">None for your role, or the pool is not open.</li>'
        of_pool = tag.startswith("pool ")
        return (
            f"<details{' open' if of_pool else ''}><summary><b>{escape(_heading(tag))}</b></summary>\n"
            f"<ul>{''.join(items)}{none}</ul></details>"
        )

    def sections(self) -> str:
        """All operations."""
        return "\n".join(
            f'<section aria-label="{escape(_heading(tag))}">\n<h2>{escape(_heading(tag))}</h2>\n'
            + "\n".join(self._article(one) for one in entries)
            + "</section>"
            for tag, entries in self._tags.items()
            if entries
        )

    def _article(self, one: Entry) -> str:
        said = one.said
        description = f"<p>{escape(said['description'])}</p>" if said.get("description") else ""
        return f"""<article id="{escape(one.anchor)}" aria-labelledby="{escape(one.anchor)}-name">
<h3 id="{escape(one.anchor)}-name"><a href="#{escape(one.anchor)}">{_name(one)}</a></h3>
<p class="route"><code><b>{one.method.upper()}</b> {escape(self._root + one.path)}</code></p>
<p>{escape(said.get("summary", ""))}</p>
{description}
{self._arguments(one)}
{self._answer(one)}
{self._examples(one)}
{self._form(one)}
</article>"""

    def _body(self, one: Entry) -> dict[str, Any] | None:
        """The schema of a body, the form by names of those there are; `None` if it takes none."""
        content = one.said.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return None
        found = self._schemas.found(content["application/json"]["schema"])
        return self._schemas.found(found["anyOf"][0]) if "anyOf" in found else found

    def _arguments(self, one: Entry) -> str:
        rows = [self._row(each["name"], each["in"], each["schema"], each) for each in self._parameters(one)]
        body = self._body(one)
        needed = (body or {}).get("required", [])
        for name, schema in (body or {}).get("properties", {}).items():
            about = {"required": name in needed, "description": self._schemas.found(schema).get("description", "")}
            rows.append(self._row(name, "body", schema, about))
        if not rows:
            return '<p class="quiet">No arguments.</p>' if one.method == "post" else ""
        schema = "" if body is None else _folded("Schema of the body", self._whole(body))
        return f"""<div class="wide" tabindex="0" role="region" aria-label="Arguments of {_name(one)}"><table>
<thead><tr><th scope="col">Argument</th><th scope="col">In</th><th scope="col">Type</th><th scope="col">Needed?</th>
<th scope="col">About</th></tr></thead>
<tbody>{"".join(rows)}</tbody></table></div>{schema}"""

    def _parameters(self, one: Entry) -> list[dict[str, Any]]:
        """Those of the path and the query; the headers are the same for all calls."""
        return [each for each in one.said.get("parameters", ()) if each.get("in") in ("path", "query")]

    def _row(self, name: str, where: str, schema: Any, about: dict[str, Any]) -> str:
        found = self._schemas.found(schema)
        default = f"Default: {json.dumps(found['default'])}." if "default" in found else ""
        bounds = self._schemas.bounds(schema)
        words = " ".join(filter(None, [about.get("description", ""), f"({bounds})" if bounds else "", default]))
        kind = self._schemas.in_words(schema)
        return (
            f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{where}</td><td>{escape(kind)}</td>'
            f"<td>{'required' if about.get('required') else 'optional'}</td><td>{escape(words)}</td></tr>"
        )

    def _answer(self, one: Entry) -> str:
        answers = {status: said for status, said in one.said["responses"].items() if status.startswith("2")}
        words = []
        for status, said in answers.items():
            contents: list[dict[str, Any]] = list(said.get("content", {}).values())
            schema = said.get("x-millpond-item") or (contents[0].get("schema") if contents else None)
            kind = "" if schema is None else f": {escape(self._schemas.in_words(self._inside(schema)))}"
            words.append(f"<p>Answers <code>{status}</code>{kind}. {escape(said['description'])}</p>")
            if schema is not None and _references(self._inside(schema)):
                words.append(_folded("Schema of the result", self._whole(self._inside(schema))))
        return "".join(words)

    def _inside(self, schema: Any) -> Any:
        """What stands in the component of a result, not resolved further: it may name a class."""
        name = schema.get("$ref", "").rpartition("/")[2] if isinstance(schema, dict) else ""
        return self._schemas.named(name) if name.endswith(".Result") else schema

    def _whole(self, schema: dict[str, Any]) -> str:
        """The schema with the definitions that it names."""
        found: dict[str, Any] = {}
        todo = [schema]
        while todo:
            for name in sorted(_references(todo.pop()) - found.keys()):
                found[name] = self._schemas.named(name)
                todo.append(found[name])
        whole = {**schema, **({"$defs": found} if found else {})}
        return json.dumps(whole, indent=2, ensure_ascii=False).replace('"#/components/schemas/', '"#/$defs/')

    def _examples(self, one: Entry) -> str:
        if not one.said["tags"][0].startswith("pool "):
            return ""
        body = self._example(one)
        url = self._base + one.path.replace("{session}", "SESSION")
        token = ' -H "Authorization: Bearer $MILLPOND_TOKEN"' if "security" in self._document else ""
        command = f"curl{' -N' if '/stream/' in one.path else ''}{token}"
        curl = f"{command} \\\n  --json {quote(body)} \\\n  {quote(url)}"
        found = _folded("With curl", curl)
        python = self._python(one)
        return found + (_folded("With Python", python) if python else "")

    def _example(self, one: Entry) -> str:
        return json.dumps(self._schemas.example(self._body(one) or {}) or {}, ensure_ascii=False)

    def _python(self, one: Entry) -> str:
        pool = one.said["tags"][0].removeprefix("pool ")
        verb, _, name = one.path.rpartition("/")
        if not verb.endswith(("/call", "/stream")):
            return ""
        given = self._schemas.example(self._body(one) or {}) or {}
        words = "".join(f", {key}={value!r}" if key.isidentifier() else "" for key, value in given.items())
        in_session = "{session}" in one.path
        target = "session" if in_session else "pool"
        run = [
            f"async with {target}.stream({name!r}{words}) as items:",
            "    async for item in items:",
            "        print(item)",
        ]
        if verb.endswith("/call"):
            run = [f"print(await {target}.call({name!r}{words}))"]
        if in_session:
            run = ['async with pool.session("SESSION") as session:', *(f"    {line}" for line in run)]
        opened = f"async with millpond.Client({self._base!r}, pool={pool!r}) as pool:"
        return "\n".join(["import millpond", "", opened, *(f"    {line}" for line in run)])

    def _form(self, one: Entry) -> str:
        if self._streams_for_ever(one):
            return ""
        fields = [self._field(one, each) for each in self._parameters(one)]
        if (body := self._body(one)) is not None:
            text = json.dumps(self._schemas.example(body) or {}, indent=2, ensure_ascii=False)
            name = f"{escape(one.anchor)}-body"
            fields.append(
                f'<label for="{name}">Body (JSON)</label>'
                f'<textarea id="{name}" name="body" rows="{min(12, text.count(chr(10)) + 2)}" spellcheck="false">'
                f"{escape(text)}</textarea>"
            )
        path = escape(self._root + one.path)
        changes = " data-confirm" if one.method == "delete" or "/admin/" in one.path else ""
        return f"""<form class="try" hidden data-method="{one.method.upper()}" data-path="{path}"{changes}>
{"".join(fields)}
<div class="buttons"><button type="submit">Send</button><button type="button" class="stop" hidden>Stop</button></div>
<output aria-live="polite"></output>
<pre class="answer" hidden tabindex="0" aria-label="Answer"></pre>
</form>"""

    def _streams_for_ever(self, one: Entry) -> bool:
        return one.path.endswith("/events")

    def _field(self, one: Entry, parameter: dict[str, Any]) -> str:
        name, where = parameter["name"], parameter["in"]
        found = self._schemas.found(parameter["schema"])
        value = found.get("enum", [""])[0] if where == "path" else ""
        key, needed = f"{one.anchor}-{name}", " required" if where == "path" else ""
        return (
            f'<label for="{escape(key)}">{escape(name)} ({where})</label>'
            f'<input id="{escape(key)}" name="{escape(name)}" data-in="{where}" value="{escape(str(value))}"{needed}'
            ' autocomplete="off" spellcheck="false">'
        )


def _references(found: Any) -> set[str]:
    """The names of components that are referred to."""
    if isinstance(found, list):
        return set().union(*map(_references, found))
    if not isinstance(found, dict):
        return set()
    here = {found["$ref"].rpartition("/")[2]} if isinstance(found.get("$ref"), str) else set()
    return here.union(*map(_references, found.values()))


def _folded(title: str, text: str) -> str:
    return f'<details><summary>{title}</summary><pre tabindex="0"><code>{escape(text)}</code></pre></details>'


def _heading(tag: str) -> str:
    return f"Pool {tag.removeprefix('pool ')}" if tag.startswith("pool ") else "The server"


def _name(one: Entry) -> str:
    """What people call it: an operation's name, or the path."""
    if not one.said["tags"][0].startswith("pool "):
        return escape(f"{one.method.upper()} {one.path}")
    head, _, name = one.path.rpartition("/")
    more = " (in a session)" if "{session}" in head else ""
    kind = " (stream)" if head.endswith("/stream") else ""
    return escape(f"{name}{kind}{more}")
