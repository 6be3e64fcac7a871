"""For schemathesis: which of the requests that it makes up are not what it takes them for."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """A header that no document names is no mistake."""
    return "x-schemathesis-unknown-property" not in (case.headers or {})


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Whole numbers have no decimal point: to JSON Schema `1.0` is an integer, to the operations it is a float."""
    return whole(body)


def whole(value: Any) -> Any:
    """The value with integers in place of such floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return value
