"""Numbers as the sentences and tables of a report have them."""

from __future__ import annotations


def many(number: float, what: str) -> str:
    """`1 worker`, `2,000 workers`."""
    return f"{number:,.0f} {what}{'' if number == 1 else 's'}"


def percent(part: float) -> str:
    """A share with as many digits as a small one needs."""
    return f"{100 * part:.3g} %"


def lasting(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7_200 else f"{seconds / 3600:.3g} hours"
