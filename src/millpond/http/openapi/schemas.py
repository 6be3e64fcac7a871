"""The schemas of operations as components of one document: names that cannot collide, and references that lead there.

Each operation brings definitions of its own (`#/$defs/Name`); here they become `pool.operation.defs.Name`. A name is
written with letters, digits and underscores; every other byte of it is `-` and two hexadecimal digits, so that the dots
between the parts tell them apart. Names without a dot are the server's own.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from millpond.seams import OperationFacts

Schema = dict[str, Any]

_PLAIN = re.compile(r"[A-Za-z0-9_]")
_DEFINITION = "#/$defs/"
_VALUES = frozenset({"default", "const", "enum", "examples", "example", "required"})  # data, not schemas
_NAMED = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})  # schemas by any name


def component(*parts: str) -> str:
    """The name of a component; other parts give another name."""
    return ".".join("".join(c if _PLAIN.match(c) else _escaped(c) for c in part) for part in parts)


def _escaped(character: str) -> str:
    return "".join(f"-{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def reference(*parts: str) -> Schema:
    """A reference to a schema among the components."""
    return {"$ref": f"#/components/schemas/{component(*parts)}"}


def schemas_of(pool: str, operation: OperationFacts) -> dict[str, Schema]:
    """Components for an operation's arguments, the body that carries them, its result, and what these refer to."""
    said = msgspec.json.decode(operation.schema or "{}")
    here = (pool, operation.name)
    found = {
        component(*here, "Arguments"): said.get("arguments", {"type": "object"}),
        component(*here, "Result"): said.get("result", {}),
    }
    found |= {component(*here, "defs", name): schema for name, schema in said.get("$defs", {}).items()}
    found = {name: _relocated(schema, here) for name, schema in found.items()}
    body = _body(pool, operation, found[component(*here, "Arguments")])
    return found | {component(*here, "Body"): body}


def _relocated(schema: Any, here: tuple[str, str]) -> Any:
    """The schema with its references leading to the components."""
    if isinstance(schema, list):
        return [_relocated(one, here) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _part(key, value, here) for key, value in schema.items()}


def _part(key: str, value: Any, here: tuple[str, str]) -> Any:
    if key == "$ref":
        return _target(value, here)
    if key == "discriminator" and isinstance(value, dict) and isinstance(value.get("mapping"), dict):
        return value | {"mapping": {name: _target(one, here) for name, one in value["mapping"].items()}}
    if key in _VALUES:
        return value
    if key in _NAMED and isinstance(value, dict):
        return {name: _relocated(one, here) for name, one in value.items()}
    return _relocated(value, here)


def _target(found: Any, here: tuple[str, str]) -> Any:
    if not isinstance(found, str) or not found.startswith(_DEFINITION):
        return found
    name = unquote(found[len(_DEFINITION) :]).replace("~1", "/").replace("~0", "~")
    return f"#/components/schemas/{component(*here, 'defs', name)}"


def takes_bytes(schema: Schema) -> bool:
    """Whether a value of this schema may come as the bytes themselves."""
    return not schema.keys() - {"title", "description", "default"} or schema.get("contentEncoding") == "base64"


def _body(pool: str, operation: OperationFacts, arguments: Schema) -> Schema:
    """What a request's body may be: arguments by name, by position, or both."""
    by_name = reference(pool, operation.name, "Arguments")
    by_position = _by_position(operation, arguments)
    # A keyword that has no default cannot be given by position.
    forms = [by_name, *([] if operation.required_keywords else [by_position])]
    return {"anyOf": [*forms, _by_both(operation, arguments, by_position)]}


def _by_position(operation: OperationFacts, arguments: Schema) -> Schema:
    properties = arguments.get("properties", {})
    schema: Schema = {
        "type": "array",
        "description": "The arguments by position.",
        "minItems": operation.required,
    }
    if operation.positional:
        schema["prefixItems"] = [properties.get(name, {}) for name in operation.positional]
    if operation.more_positional:
        named = {*operation.positional, *operation.keyword_only}
        rest: list[Schema] = [one for name, one in properties.items() if name not in named]
        schema["items"] = rest[0].get("items", {}) if rest else {}
    else:
        schema["maxItems"] = len(operation.positional)
    return schema


def _by_both(operation: OperationFacts, arguments: Schema, by_position: Schema) -> Schema:
    named = {name: one for name, one in arguments.get("properties", {}).items() if name in operation.keyword_only}
    return {
        "type": "object",
        "description": "Those by position under the key `*`, others by name.",
        "required": ["*", *operation.required_keywords],
        "properties": {"*": by_position, **named},
        "additionalProperties": arguments.get("additionalProperties", True) if operation.more_keywords else False,
    }
