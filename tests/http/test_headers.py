"""What a request's headers say that is read by hand."""

from __future__ import annotations

import pytest

from millpond.http.headers import accepts_gzip


@pytest.mark.parametrize(
    ("sent", "does"),
    [
        *(
            ("gzip", True),
            ("GZIP", True),
            ("br, gzip", True),
            ("gzip;q=0.5, br", True),
            ("*", True),
            ("x;q=0,gzip", True),
        ),
        *(("", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.000", False), ("xgzip", False), (",;,", False)),
        *(("*, gzip;q=0", False), ("*;q=0, gzip", True)),
    ],
)
def test_gzip_is_accepted_by_name_unless_its_weight_is_0(sent, does):
    """As RFC 9110 has it; a header that was not sent accepts nothing but what is there."""
    assert accepts_gzip(sent) is does
