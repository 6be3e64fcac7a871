"""The headers by which answers and pages protect who reads them in a browser. No answer has any Access-Control header:
no page of another origin reads one.
"""

from __future__ import annotations

NO_STORE = "no-store"

# For every answer: never guessed to be a script or a page, never part of a page elsewhere, its address told to nobody.
ANSWER: dict[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": NO_STORE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

# For pages: scripts, styles and pictures come from this server's files alone, none stand in the page itself.
PAGE: dict[str, str] = ANSWER | {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: by its name, or else by `*`, with a weight above 0."""
    weights = {}
    for one in accept_encoding.lower().split(","):
        name, _, parameters = one.partition(";")
        weights[name.strip()] = parameters.strip().removeprefix("q=")
    weight = weights.get("gzip", weights.get("*", "0"))
    return not weight or bool(weight.strip("0."))
