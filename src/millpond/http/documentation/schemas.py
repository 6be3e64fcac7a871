"""JSON Schemas in few words, and a value that fits one: for tables and examples."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_EXAMPLES: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}
_DEEPEST = 4
_REFERENCE = "#/components/schemas/"


class Schemas:
    """The components of a document."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components

    def found(self, schema: Any) -> Schema:
        """The schema itself, if this is a reference to one."""
        seen = 0
        while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and seen < 32:
            schema, seen = self._components.get(schema["$ref"].removeprefix(_REFERENCE), {}), seen + 1
        return schema if isinstance(schema, dict) else {}

    def named(self, name: str) -> Schema:
        """A component."""
        return self._components.get(name, {})

    def in_words(self, schema: Any, depth: int = 0) -> str:
        """What a value is: `list of integer`, `Item or null`."""
        if isinstance(schema, dict) and "$ref" in schema:
            found = self.found(schema)
            return str(found.get("title") or schema["$ref"].rpartition("/")[2].rpartition(".")[2])
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return "anything"
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return " or ".join(dict.fromkeys(self.in_words(one, depth + 1) for one in schema[key]))
        if "const" in schema or "enum" in schema:
            return " or ".join(map(_shown, schema.get("enum", [schema.get("const")])))
        return self._typed(schema, depth)

    def _typed(self, schema: Schema, depth: int) -> str:
        kinds = schema.get("type", [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        words = [self._kind(kind, schema, depth) for kind in kinds]
        return " or ".join(words) or "anything"

    def _kind(self, kind: str, schema: Schema, depth: int) -> str:
        if kind == "array" and "items" in schema:
            return f"list of {self.in_words(schema['items'], depth + 1)}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"object of {self.in_words(schema['additionalProperties'], depth + 1)}"
        if kind == "string" and schema.get("contentEncoding") == "base64":
            return "bytes (base64)"
        return f"{kind} ({schema['format']})" if "format" in schema else kind

    def bounds(self, schema: Any) -> str:
        """Its limits: `0 to 20`, `at most 100 characters`."""
        found = self.found(schema)
        words = [_range(found, "minimum", "maximum", ""), _range(found, "minLength", "maxLength", "characters")]
        words.append(_range(found, "minItems", "maxItems", "items"))
        return ", ".join(filter(None, words))

    def example(self, schema: Any, depth: int = 0) -> Any:
        """A value that fits, short and as plain as can be."""
        found = self.found(schema)
        if depth > _DEEPEST:
            return None
        for key in ("default", "const"):
            if key in found:
                return found[key]
        for key in ("examples", "enum"):
            if found.get(key):
                return found[key][0]
        for key in ("anyOf", "oneOf"):
            if found.get(key):
                return self.example(found[key][0], depth + 1)
        kind = found.get("type")
        return self._example_of(kind[0] if isinstance(kind, list) else kind, found, depth)

    def _example_of(self, kind: str | None, schema: Schema, depth: int) -> Any:
        if kind == "object":
            needed = schema.get("required", [])
            properties = schema.get("properties", {})
            return {name: self.example(properties.get(name, {}), depth + 1) for name in needed}
        if kind == "array":
            if "prefixItems" in schema:
                return [self.example(one, depth + 1) for one in schema["prefixItems"]]
            return [self.example(schema["items"], depth + 1)] if isinstance(schema.get("items"), dict) else []
        if kind in ("integer", "number") and "minimum" in schema:
            return schema["minimum"]
        return _EXAMPLES.get(kind or "")


def _range(schema: Schema, low: str, high: str, what: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is None and most is None:
        return ""
    between = f"{least} to {most}" if least is not None and most is not None else ""
    return f"{between or (f'at least {least}' if most is None else f'at most {most}')} {what}".strip()


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)
