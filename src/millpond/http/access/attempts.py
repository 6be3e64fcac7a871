"""How many wrong tokens each address has sent in this second; the rest are answered 429.

It spares the log and the machine: a token has too many bits to be found by trying. A right token is never refused.
"""

from __future__ import annotations

from ipaddress import IPv6Address

LIMIT = 10  # wrong tokens a second and address
ADDRESSES = 4096  # remembered; of more, the longest known is forgotten
NETWORK = 64  # bits of an IPv6 address: one customer has all addresses behind them


class Attempts:
    """Counts in windows of a second."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def is_one_too_many(self, client: tuple[str, int] | None, now: float) -> bool:
        """Count one more wrong token of a client (`None`: of a Unix socket); whether it is beyond the limit."""
        address = _network(client[0]) if client else ""
        began, count = self._windows.pop(address, (now, 0))
        if not now - 1.0 < began <= now:
            began, count = now, 0
        if len(self._windows) >= ADDRESSES:
            del self._windows[next(iter(self._windows))]
        self._windows[address] = began, count + 1
        return count >= LIMIT


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        number = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(number.ipv4_mapped or int(number) >> (128 - NETWORK))
