"""The credentials for a proxy (RFC 9110 section 11.7): Basic first, Digest when it asks for it.

A login and a password are sent as Basic with the first request, as long as nothing else is
known: most proxies want that, and some close the connection instead of asking.  A proxy that
answers 407 with a Digest challenge (RFC 7616) is answered once for each request.  What it asked
for is remembered, so that the next requests are authorized at once.

Credentials are for one proxy.  Nothing of them goes to another one, or to a server.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Final, TypeAlias

from plait_engine.policy.auth import encode_basic_credentials
from plait_engine.policy.digest import DigestAuth

PROXY_CHALLENGE: Final = 407
"""Proxy Authentication Required (RFC 9110 section 15.5.8)."""

_MOST_LOGINS: Final = 64
_SPACE: Final = "http://proxy/"

Credentials: TypeAlias = tuple[str, str, str]
"""A login, a password, and their encoding in Basic authentication."""


class ProxyLogin:
    """What is known about a user of one proxy.

    Args:
        login, password: those of the user.
        encoding: of the text in Basic authentication.
        random: returns so many unpredictable bytes.

    Raises ValueError for a login with a colon.
    """

    def __init__(
        self, login: str, password: str, encoding: str, random: Callable[[int], bytes]
    ) -> None:
        self.name = login
        self.password = password
        self._basic = encode_basic_credentials(login, password, encoding)
        self._digest = DigestAuth(login, password, random)
        self._asks_digest = False

    def authorize(self, method: str, target: str) -> str:
        """Return the value of Proxy-Authorization.  ``target``: as it is on the wire."""
        answer = self._digest.authorize(method, target) if self._asks_digest else None
        return self._basic if answer is None else answer

    def on_challenge(self, values: Iterable[str], *, answered: bool, has_content: bool) -> bool:
        """The proxy said 407 with these Proxy-Authenticate fields.

        ``answered``: to a request that was sent because of such a challenge.  Return whether it
        is worth to send it again.
        """
        # All of a proxy is one space (RFC 7616 section 3.8): which URL stands for it is all one.
        again = self._digest.on_challenge(values, _SPACE, answered=answered)
        if again and has_content and self._digest.needs_content:
            return False  # What is forwarded is sent as it comes, and cannot be hashed before.
        self._asks_digest = self._asks_digest or again
        return again and not answered


class ProxyLogins:
    """The logins that were used, so that a challenge is not met with every connection."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._known: dict[tuple[Hashable, Credentials], ProxyLogin] = {}

    def find(self, proxy: Hashable, credentials: Credentials | None) -> ProxyLogin | None:
        """Return what is known about a user of ``proxy``, ``None`` without credentials."""
        if credentials is None:
            return None
        login = self._known.get((proxy, credentials))
        if login is None:
            if len(self._known) >= _MOST_LOGINS:
                del self._known[next(iter(self._known))]
            login = self._known[proxy, credentials] = ProxyLogin(*credentials, self._random)
        return login
