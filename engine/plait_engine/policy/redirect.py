"""Redirects: what the next request is (RFC 9110 section 15.4), as a pure function.

Rules
-----
* 303 asks for a GET (HEAD stays HEAD).  301 and 302 make a GET of a POST, as every client
  has always done.  Otherwise method and content stay.
* Without content, the fields that describe it go.
* To another origin (scheme, host or port), credentials go: whoever answers there is not
  who they were meant for.  They do not come back when a later redirect leads home.  The
  Host that the caller set goes too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

CONTENT_FIELDS: Final = frozenset(
    {
        "content-digest",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "digest",
        "expect",
        "last-modified",
        "repr-digest",
        "trailer",
        "transfer-encoding",
    }
)
"""They say something about content (RFC 9110 section 15.4)."""

ORIGIN_FIELDS: Final = frozenset(
    {"authorization", "cookie", "host", "proxy-authenticate", "proxy-authorization"}
)
"""They are meant for one origin only."""


class Origin(NamedTuple):
    """Who answers for a URL (RFC 9110 section 4.3.1)."""

    scheme: str
    host: str
    port: int | None


class NextRequest(NamedTuple):
    """What to send after a redirect."""

    method: str
    headers: list[tuple[str, str]]
    keeps_content: bool
    keeps_credentials: bool
    """False: send neither the ``auth`` nor the cookies of the first request."""


def follow_redirect(
    status: int,
    method: str,
    headers: Iterable[tuple[str, str]],
    origin: Origin,
    next_origin: Origin,
) -> NextRequest:
    """Return the request that a redirect with ``status`` leads to.

    ``method`` and ``headers`` are those of the request that was redirected.
    """
    keeps_content = True
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method = "GET"
        keeps_content = False
    same = origin == next_origin
    dropped: frozenset[str] = frozenset()
    if not keeps_content:
        dropped |= CONTENT_FIELDS
    if not same:
        dropped |= ORIGIN_FIELDS
    kept = [pair for pair in headers if pair[0].lower() not in dropped]
    return NextRequest(method, kept, keeps_content, same)
