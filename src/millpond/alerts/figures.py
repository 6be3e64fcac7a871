"""Numbers as Prometheus's templates write them, down to the last character."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

_LARGE, _SMALL = ("k", "M", "G", "T", "P", "E", "Z", "Y"), ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
# One verb of Go's printf, or a percent sign; without a precision `g` would write other digits than Python's.
VERB = re.compile(r"%%|%(?:([-+ 0]*)(\d*)(\.\d+|)([eEf])|(?:([-+ 0]*)(\d*)(\.\d+)([gG]))|(-?)(\d*)()([sv]))")
_FIXED_BELOW = 1e21  # Go writes larger numbers with an exponent


def plain(value: float) -> str:
    """The shortest text that is this number."""
    if not math.isfinite(value):
        return _odd(value)
    if value and not 1e-4 <= abs(value) < _FIXED_BELOW:
        mantissa, _, exponent = format(Decimal(repr(value)).normalize(), "e").partition("e")
        return f"{mantissa}e{int(exponent):+03d}"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def printf(layout: str, value: float | str) -> str:
    """`value` in a layout with one verb of Go's; raises `ValueError` if the verb is not for it."""
    return VERB.sub(lambda found: "%" if found[0] == "%%" else _written(found, value), layout)


def _written(found: re.Match[str], value: float | str) -> str:
    flags, width, precision, verb = (group for group in found.groups() if group is not None)
    if verb != "v" and (verb == "s") != isinstance(value, str):
        raise ValueError(f"printf {found[0]!r} does not go with {value!r}")
    if verb in "sv" or not isinstance(value, float):
        return f"%{flags}{width}s" % (value if isinstance(value, str) else plain(value))
    if not math.isfinite(value):
        return f"%{flags.replace('0', '').replace('+', '')}{width}s" % _odd(value)
    return f"%{flags}{width}{precision}{verb}" % value


def humanize(value: float) -> str:
    """With a decimal prefix: 1500 is `1.5k`."""
    if value == 0 or not math.isfinite(value):
        return _four(value)
    return _scaled(value, _LARGE, 1000) if abs(value) >= 1 else _lifted(value)


def humanize1024(value: float) -> str:
    """With a binary prefix: 2048 is `2ki`."""
    if abs(value) <= 1 or not math.isfinite(value):
        return _four(value)
    return _scaled(value, _BINARY, 1024)


def humanize_percentage(value: float) -> str:
    """A ratio in percent: 0.25 is `25%`."""
    return f"{_four(value * 100)}%"


def humanize_duration(value: float) -> str:
    """Seconds as days, hours, minutes and seconds, or as fractions of one."""
    if not math.isfinite(value):
        return _odd(value)
    if abs(value) < 1:
        return f"{_lifted(value) if value else _four(value)}s"
    sign, seconds = "-" if value < 0 else "", int(abs(value))
    if seconds < 60:
        return f"{sign}{_four(abs(value))}s"
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    first = next(i for i, (number, _) in enumerate(parts) if number)
    return sign + " ".join(f"{number}{unit}" for number, unit in parts[first:])


def _scaled(value: float, prefixes: Sequence[str], base: int) -> str:
    prefix = ""
    for larger in prefixes:
        if abs(value) < base:
            break
        prefix, value = larger, value / base
    return f"{_four(value)}{prefix}"


def _lifted(value: float) -> str:
    """A fraction with the prefix that makes it 1 or more."""
    prefix = ""
    for smaller in _SMALL:
        if abs(value) >= 1:
            break
        prefix, value = smaller, value * 1000
    return f"{_four(value)}{prefix}"


def _four(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}" if math.isfinite(value) else _odd(value)


def _odd(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
