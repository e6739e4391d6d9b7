"""Which messages have content (RFC 9110 sections 6.4, 8.6 and 15).

Two questions that have different answers for 205 (Reset Content):

* Where does a *received* response end?  RFC 9112 section 6.3 and RFC 9113 section 8.1.1: with
  its head after HEAD, and for 1xx, 204 and 304, whatever its fields say.
* What does a server *send*?  No content with any of these, and none with 205 either (RFC 9110
  section 15.3.6).  A received 205 is still read as its framing says: it may come from a server
  that does not know the rule.
"""

from __future__ import annotations

from typing import Final

ENDED_BY_HEAD: Final = frozenset({204, 304})
"""Final statuses that end with the head (RFC 9110 sections 15.3.5 and 15.4.5)."""

WITHOUT_CONTENT: Final = ENDED_BY_HEAD | {205}
"""Final statuses with which no content is sent (RFC 9110 section 15.3.6 too)."""

METHODS_WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods of requests that say so when they have no content (RFC 9110 section 8.6)."""

METHODS_WITHOUT_CONTENT: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods that define no content: a request has it only if the application frames it."""
