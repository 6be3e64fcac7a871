"""Cuts an expression into tokens. Knows words, numbers, durations, strings and signs; knows no grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from millpond.alerts.expr.errors import ExpressionError

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>(?:\d+(?:ms|[smhdwy]))+(?![\w.]))
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.]))
    |(?P<word>[a-zA-Z_:][\w:]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<sign>=~|!~|==|!=|<=|>=|[-+*/%^(){}\[\],=<>@])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression: duration, number, word, string, sign, or the end; `text` as it stands there."""

    kind: str
    text: str
    position: int


def tokens(text: str) -> Iterator[Token]:
    """All tokens and the end; raises `ExpressionError` at what can be none."""
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(f"unexpected {text[position]!r}", text, position)
        if found.lastgroup != "space":
            yield Token(str(found.lastgroup), found[0], position)
        position = found.end()
    yield Token("end", "", position)


def unquoted(token: Token, text: str) -> str:
    """What a string token stands for; backquotes take everything literally."""
    if token.text[0] == "`":
        return token.text[1:-1]

    def plain(found: re.Match[str]) -> str:
        escape = found[1]
        if len(escape) > 1:
            return chr(int(escape.lstrip("xuU"), 8 if escape.isdigit() else 16))
        if escape not in _PLAIN:
            raise ExpressionError(f"unknown escape \\{escape}; for a backslash write two", text, token.position)
        return _PLAIN[escape]

    return _ESCAPE.sub(plain, token.text[1:-1])
