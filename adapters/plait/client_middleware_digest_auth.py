"""Digest access authentication (RFC 7616) as a client middleware.

``session.get(url, middlewares=[DigestAuthMiddleware("login", "password")])``.  What is decided,
and hashed, is ``plait_engine.policy.digest``.
"""

from __future__ import annotations

import os

from yarl import URL

from plait_engine.policy.digest import DigestAuth

from . import hdrs
from .client_middlewares import ClientHandlerType
from .client_reqrep import ClientRequest, ClientResponse

__all__ = ("DigestAuthMiddleware",)


class DigestAuthMiddleware:
    """Answers the challenges of servers, and sends a request again with the answer.

    Args:
        login, password: those of the user, at the origin of the first request and at what that
            says it protects.  Other origins are not answered.
        preemptive: authorize requests to what the last challenge protects before anybody asks,
            which saves a round trip.

    Raises ValueError for a login with a colon, and for ``None``.

    A request with content is sent again only if its content can be (see ``payload``).
    """

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        if login is None:
            raise ValueError("None is not allowed as login value")
        if password is None:
            raise ValueError("None is not allowed as password value")
        self._auth = DigestAuth(login, password, os.urandom)
        self._preemptive = preemptive

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send ``request``, once more when it is challenged."""
        url = _without_credentials(request.url)
        answered = self._auth.on_request(url) and self._preemptive
        if answered:
            await self._authorize(request)
        response = await handler(request)
        if response.status != 401:
            return response
        challenges = response.headers.getall(hdrs.WWW_AUTHENTICATE, [])
        if not self._auth.on_challenge(challenges, url, answered=answered):
            return response
        response.release()
        await self._authorize(request)
        return await handler(request)

    async def _authorize(self, request: ClientRequest) -> None:
        content = b""
        payload = request.payload
        if payload is not None and self._auth.needs_content:
            content = await payload.as_bytes()
        target = request.url.raw_path_qs
        value = self._auth.authorize(request.method, target, content)
        if value is not None:
            request.headers[hdrs.AUTHORIZATION] = value


def _without_credentials(url: URL) -> str:
    return str(url.with_user(None))
