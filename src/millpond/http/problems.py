"""What is wrong with a request, as RFC 9457 tells it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class Problem(Exception):
    """A request that is answered with an error: `status`, a `code` that programs go by, and `detail` for people."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        **members: Any,
    ) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members
