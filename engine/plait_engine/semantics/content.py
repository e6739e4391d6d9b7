"""Which messages have content (RFC 9110 sections 6.4, 8.6 and 15).

Two questions that have different answers for 205 (Reset Content):

* Where does a *received* response end?  RFC 9112 section 6.3 and RFC 9113 section 8.1.1: with
  its head after HEAD, and for 1xx, 204 and 304, whatever its fields say.
* What does a server *send*?  No content with any of these, and none with 205 either (RFC 9110
  section 15.3.6).  A received 205 is still read as its framing says: it may come from a server
  that does not know the rule.
"""

from __future__ import annotations

import re
from typing import Final

from plait_engine.headers import Headers, get

CONTINUE: Final = 100
"""It concerns the content of the request only (RFC 9110 section 15.2.1)."""

SWITCHING_PROTOCOLS: Final = 101
"""What follows the head is no content: it is the other protocol's (RFC 9110 section 15.2.2)."""

NO_CONTENT: Final = 204
"""It says no Content-Length (RFC 9110 section 8.6), as 1xx."""
RESET_CONTENT: Final = 205
"""It says Content-Length: 0 (RFC 9110 section 15.3.6), since nothing else ends it with its head."""

ENDED_BY_HEAD: Final = frozenset({NO_CONTENT, 304})
"""Final statuses that end with the head (RFC 9110 sections 15.3.5 and 15.4.5)."""

WITHOUT_CONTENT: Final = ENDED_BY_HEAD | {RESET_CONTENT}
"""Final statuses with which no content is sent."""

METHODS_WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods of requests that say so when they have no content (RFC 9110 section 8.6)."""

METHODS_WITHOUT_CONTENT: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods that define no content: a request has it only if the application frames it."""

# RFC 9110 section 8.6: Content-Length = 1*DIGIT.
is_content_length: Final = re.compile(r"[0-9]{1,18}").fullmatch
"""Match a Content-Length.  The bound keeps ``int`` cheap, and is an exabyte."""


def announced_length(headers: Headers) -> int | None:
    """Return what Content-Length says, for a message; ``None`` if it says nothing."""
    value = get(headers, "content-length")
    return int(value) if value is not None and is_content_length(value) else None
