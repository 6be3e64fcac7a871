"""What can be wrong with an expression: its text, or what it found when it was evaluated."""

from __future__ import annotations


class ExpressionError(ValueError):
    """An expression that is not in the subset; `position` is the character where that shows, from 0."""

    def __init__(self, message: str, text: str, position: int) -> None:
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        super().__init__(f"{message}, at character {position + 1} of {shown!r}")
        self.position = position


class EvaluationError(ArithmeticError):
    """An expression that has no answer on the series there are, such as a match of many to one."""
