"""What is told of an error: to the client, as plain text or, if it takes that, as HTML."""

from __future__ import annotations

import html
import traceback
from typing import Final

from plait.helpers import printable

_INTERNAL = "500 Internal Server Error"
_EXCERPT: Final = 200
"""Characters."""


def error_page(accept: str, trace: str) -> tuple[str, str]:
    """Return the text of a 500, and its media type.

    Args:
        accept: the Accept field of the request (RFC 9110 section 12.5.1).
        trace: the traceback to show, which says much about the server; empty: none.
    """
    if "text/html" in accept:
        details = "Server got itself in trouble"
        if trace:
            details = f"<h2>Traceback:</h2>\n<pre>{html.escape(trace)}</pre>"
        page = (
            f"<html><head><title>{_INTERNAL}</title></head><body>\n<h1>{_INTERNAL}</h1>"
            f"\n{details}\n</body></html>\n"
        )
        return page, "text/html"
    return f"{_INTERNAL}\n\n{trace or 'Server got itself in trouble'}", "text/plain"


def format_trace(error: BaseException) -> str:
    """Return the traceback of ``error``."""
    return "".join(traceback.format_exception(error))


def excerpt(text: str) -> str:
    """Return some of ``text``, which a client may have made, for a log or an answer."""
    return printable(text[:_EXCERPT])
