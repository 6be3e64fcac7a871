"""Walks over the tokens of an expression, and reads the pieces that selectors, groupings and silences have in common.

Comes after the lexer; the parser of whole expressions builds on it.
"""

from __future__ import annotations

from typing import NoReturn

from millpond.alerts.expr.durations import parse_duration
from millpond.alerts.expr.errors import ExpressionError
from millpond.alerts.expr.lexer import Token, tokens, unquoted
from millpond.alerts.expr.matchers import Matcher, pattern
from millpond.alerts.expr.signatures import AGGREGATIONS

CONSTANTS = {"inf": float("inf"), "nan": float("nan")}
LEFT_OUT = {"group_left", "group_right", "atan2", "count_values", "stdvar"}
KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset"}
KEYWORDS |= {*AGGREGATIONS, *CONSTANTS, *LEFT_OUT}


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of `{a="b", c=~"d.*"}`; the braces may be left out. Raises `ExpressionError`."""
    cursor = Cursor(text if text.lstrip().startswith("{") else f"{{{text}}}")
    found = cursor.braces()
    cursor.expect_end()
    return found


class Cursor:
    """A place in one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = list(tokens(text))
        self._at = 0

    @property
    def next(self) -> Token:
        """The token that was not taken yet."""
        return self._tokens[self._at]

    @property
    def is_before_parenthesis(self) -> bool:
        """Whether an opening parenthesis follows the next token."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)].text == "("

    @property
    def word(self) -> str:
        """The next token as a keyword or sign; keywords may be written in capitals."""
        if self.next.kind == "string":
            return ""
        lower = self.next.text.lower()
        return lower if lower in KEYWORDS else self.next.text

    def fail(self, message: str, at: Token | None = None) -> NoReturn:
        """Say what is wrong at a token, the next one unless another is given."""
        raise ExpressionError(message, self.text, (at or self.next).position)

    def take(self) -> Token:
        """The next token; the end is never passed."""
        token = self.next
        if token.kind != "end":
            self._at += 1
        return token

    def maybe(self, word: str) -> bool:
        """Take the next token if it is this word or sign."""
        if self.word != word:
            return False
        self.take()
        return True

    def expect_end(self) -> None:
        """See that nothing is left."""
        if self.next.kind != "end":
            self.fail(f"unexpected {self.next.text!r}")

    def expect(self, sign: str) -> None:
        """Take this sign, which must come next."""
        if not self.maybe(sign):
            self.fail(f"{sign!r} is missing before {self.next.text or 'the end'!r}")

    def braces(self) -> tuple[Matcher, ...]:
        """Matchers in braces."""
        self.expect("{")
        found: list[Matcher] = []
        while self.next.text != "}":
            found.append(self._matcher())
            if not self.maybe(","):
                break
        self.expect("}")
        return tuple(found)

    def _matcher(self) -> Matcher:
        name, op = self.label(), self.take()
        if op.text not in ("=", "!=", "=~", "!~"):
            self.fail(f"a matcher is =, !=, =~ or !~, not {op.text!r}", op)
        if self.next.kind != "string":
            self.fail("a matcher's value stands in quotes")
        value = unquoted(token := self.take(), self.text)
        if op.text in ("=~", "!~"):
            try:
                pattern(value)
            except ValueError as error:
                self.fail(str(error), token)
        return Matcher(name, op.text, value)

    def label(self) -> str:
        """The name of a label."""
        if self.next.kind != "word" or ":" in self.next.text:
            self.fail(f"a label's name is needed, not {self.next.text!r}")
        return self.take().text

    def names(self) -> tuple[str, ...]:
        """Label names in parentheses."""
        self.expect("(")
        found: list[str] = []
        while self.next.text != ")":
            found.append(self.label())
            if not self.maybe(","):
                break
        self.expect(")")
        return tuple(found)

    def duration(self) -> int:
        """A duration in milliseconds, more than none."""
        token = self.take()
        try:
            found = parse_duration(token.text) if token.kind == "duration" else 0
        except ValueError as error:
            self.fail(str(error), token)
        return found or self.fail(f"a duration such as 5m is needed, not {token.text!r}", token)
