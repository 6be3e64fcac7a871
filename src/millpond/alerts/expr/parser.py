"""Reads an expression into its tree, by precedence climbing, and checks kinds on the way.

Comes after the lexer and before evaluation. What Prometheus has and the subset has not is refused by name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from millpond.alerts.expr.cursor import CONSTANTS, KEYWORDS, LEFT_OUT, Cursor
from millpond.alerts.expr.labels import NAME
from millpond.alerts.expr.lexer import Token
from millpond.alerts.expr.matchers import Matcher
from millpond.alerts.expr.signatures import AGGREGATIONS, SIGNATURES
from millpond.alerts.expr.tree import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Matching,
    Negation,
    Node,
    Number,
    Range,
    Selector,
)

_LEVELS = (("or",), ("and", "unless"), COMPARISONS, ("+", "-"), ("*", "/", "%"), ("^",))
_LEVEL = {op: level for level, ops in enumerate(_LEVELS) for op in ops}
_SIGN = _LEVEL["*"]  # a minus binds like a product: -1^2 is -(1^2)
DEEPEST = 60  # levels of nesting, and
LONGEST = 250  # operators: whoever walks the tree must not run out of stack


@lru_cache(maxsize=1024)
def parse(text: str) -> Node:
    """The tree of an expression; raises `ExpressionError` that says what is wrong and where."""
    parser = Parser(text)
    node = parser.expression()
    parser.expect_end()
    return node


class Parser(Cursor):
    """One pass over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._operators = 0

    def expression(self, lowest: int = 0) -> Node:
        """An expression whose operators bind at least as tightly as level `lowest`."""
        self._depth += 1
        if self._depth > DEEPEST:
            self.fail(f"nested more than {DEEPEST} deep")
        left = self._operand()
        while (level := _LEVEL.get(self.word, -1)) >= lowest:
            left = self._binary(left, level)
        self._depth -= 1
        return left

    def _binary(self, left: Node, level: int) -> Node:
        sign = self.take()
        self._operators += 1
        if self._operators > LONGEST:
            self.fail(f"more than {LONGEST} operators", sign)
        op = sign.text.lower()
        as_bool = self.maybe("bool")
        matching = self._matching() if self.word in ("on", "ignoring") else Matching()
        if self.word in LEFT_OUT:
            self.fail(f"{self.word} is not in the subset: a series has one partner")
        right = self.expression(level if op == "^" else level + 1)
        node = Binary(op, left, right, as_bool, matching)
        self._check_binary(node, sign)
        return node

    def _check_binary(self, node: Binary, sign: Token) -> None:
        kinds = {node.left.kind, node.right.kind}
        if "range" in kinds:
            self.fail(f"{node.op!r} does not go with a range; use a function such as rate()", sign)
        if node.as_bool and node.op not in COMPARISONS:
            self.fail("bool goes with comparisons only", sign)
        if kinds == {"scalar"} and node.op in COMPARISONS and not node.as_bool:
            self.fail("a comparison of two scalars needs bool", sign)
        if node.op in SET_OPERATORS and kinds != {"vector"}:
            self.fail(f"{node.op!r} goes with vectors only", sign)
        if node.matching.labels and kinds != {"vector"}:
            self.fail("on and ignoring go with two vectors", sign)

    def _matching(self) -> Matching:
        return Matching(self.take().text.lower() == "on", self.names())

    def _operand(self) -> Node:
        if self.next.text in ("+", "-") and self.next.kind == "sign":
            sign = self.take()
            operand = self.expression(_SIGN + 1)
            if operand.kind == "range":
                self.fail("a range has no sign", sign)
            return operand if sign.text == "+" else Negation(operand)
        node = self._primary()
        if self.word in ("[", "offset", "@"):
            self.fail(f"{self.word!r} goes with a selector only (subqueries and @ are not in the subset)")
        return node

    def _primary(self) -> Node:
        token, word = self.next, self.word
        if token.kind == "number" or word in CONSTANTS:
            self.take()
            return Number(CONSTANTS[word] if word in CONSTANTS else _number(token.text))
        if word == "(":
            self.take()
            inside = self.expression()
            self.expect(")")
            return inside
        if word in AGGREGATIONS:
            return self._aggregation()
        if word in LEFT_OUT:
            self.fail(f"{word} is not in the subset")
        if token.kind == "word" and self.is_before_parenthesis:
            return self._call()
        if word == "{" or (token.kind == "word" and word not in KEYWORDS):
            return self._selector()
        return self.fail("a text is no value here" if token.kind == "string" else f"unexpected {token.text or 'end'!r}")

    def _call(self) -> Node:
        name = self.take()
        signature = SIGNATURES.get(name.text)
        if signature is None:
            self.fail(f"{name.text}() is not in the subset", name)
        arguments = self._arguments()
        if len(arguments) != len(signature.takes):
            self.fail(f"{name.text}() takes {len(signature.takes)} arguments, not {len(arguments)}", name)
        for number, (argument, kind) in enumerate(zip(arguments, signature.takes, strict=True), 1):
            if argument.kind != kind:
                self.fail(f"argument {number} of {name.text}() is a {argument.kind}, not a {kind}", name)
        return Call(name.text, arguments)

    def _arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        found: list[Node] = []
        while self.next.text != ")":
            found.append(self.expression())
            if not self.maybe(","):
                break
            if self.next.text == ")":
                self.fail("an argument is missing")
        self.expect(")")
        return tuple(found)

    def _aggregation(self) -> Node:
        name = self.take()
        op = name.text.lower()
        mode, labels = self._grouping()
        arguments = self._arguments()
        if not mode:
            mode, labels = self._grouping()
        takes_number = AGGREGATIONS[op][0]
        kinds = ["scalar", "vector"] if takes_number else ["vector"]
        if [argument.kind for argument in arguments] != kinds:
            self.fail(f"{op} takes a {' and a '.join(kinds)}", name)
        parameter = arguments[0] if takes_number else None
        return Aggregation(op, arguments[-1], parameter, mode or "by", labels)

    def _grouping(self) -> tuple[Literal["by", "without"] | None, tuple[str, ...]]:
        modes: tuple[Literal["by"], Literal["without"]] = ("by", "without")
        for mode in modes:
            if self.word == mode:
                self.take()
                return mode, self.names()
        return None, ()

    def _selector(self) -> Node:
        start = self.next
        name = self.take().text if start.kind == "word" else ""
        matchers = self.braces() if self.next.text == "{" else ()
        if name:
            if any(matcher.name == NAME for matcher in matchers):
                self.fail("the metric's name is given twice", start)
            matchers = (Matcher(NAME, "=", name), *matchers)
        if all(matcher.accepts("") for matcher in matchers):
            self.fail("a selector must rule out the empty label somewhere", start)
        range_ms = self._range() if self.maybe("[") else 0
        selector = Selector(matchers, self._offset())
        if self.next.text == "@":
            self.fail("@ is not in the subset")
        return Range(selector, range_ms) if range_ms else selector

    def _range(self) -> int:
        range_ms = self.duration()
        if self.next.text.startswith(":"):
            self.fail("subqueries are not in the subset")
        self.expect("]")
        return range_ms

    def _offset(self) -> int:
        if not self.maybe("offset"):
            return 0
        sign = -1 if self.maybe("-") else 1
        return sign * self.duration()


def _number(text: str) -> float:
    return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)
