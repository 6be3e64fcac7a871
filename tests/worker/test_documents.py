"""What arguments in a document that do not fit are told: where, and why, without what they were."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, Literal

import pydantic
import pytest

from millpond.documents import JSON
from millpond.worker.documents import ArgumentError, Reader

SECRET = "canary - at `$.x`"


class Person(pydantic.BaseModel):
    """A model that checks what it is given."""

    age: int


class Shop:
    """Takes arguments of several kinds."""

    def greet(self, person: Person) -> None:
        """Takes a model."""

    def pick(self, size: Literal["s", "m"]) -> None:
        """Takes one of two words."""

    def count(self, numbers: dict[int, int]) -> None:
        """Takes keys that are numbers."""


@pytest.mark.parametrize(
    ("operation", "given", "field", "told"),
    [
        ("greet", {"person": {"age": SECRET}}, "$.person", "age: Input should be a valid integer"),
        ("greet", {"person": SECRET}, "$.person", "Input should be a valid dictionary"),
        ("pick", {"size": SECRET}, "$.size", "pick(): Invalid enum value - at `$.size`"),
        ("count", {"numbers": {SECRET: 1}}, "$.numbers", "Expected `int`, got `str`"),
        ("pick", 3, "$", "pick(): arguments are a map by name or a list, not int"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_and_not_repeated(operation, given, field, told):
    """Nor is what pydantic was given, and the operation is named once."""
    function: Any = getattr(Shop(), operation)
    reader = Reader(SimpleNamespace(name=operation, function=function))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError) as raised:
        reader.read(json.dumps(given).encode(), JSON)
    assert raised.value.field == field
    assert told in str(raised.value)
    assert "canary" not in str(raised.value)
    assert str(raised.value).count(f"{operation}():") == 1
