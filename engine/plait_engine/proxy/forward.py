"""Requests that a proxy forwards: in absolute form (RFC 9112 section 3.2.2), with credentials.

What the fields of such a request say goes on to the server, but for those that are for the
next hop.  So of the fields for the proxy only those are added that say so by their names
(``Proxy-Authorization`` and the like); the others belong into CONNECT, which ends at the proxy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from plait_engine.events import Request
from plait_engine.headers import Headers

from .login import ProxyLogin

AUTHORIZATION = "proxy-authorization"
_FOR_PROXIES = "proxy-"


class Forwarding:
    """How requests are written for a proxy that forwards them.

    Args:
        fields: those for the proxy.
        login: the credentials for the proxy, if there are any.
    """

    def __init__(self, fields: Headers, login: ProxyLogin | None) -> None:
        self._fields = [pair for pair in fields if pair[0].lower().startswith(_FOR_PROXIES)]
        self.login = None if has_authorization(self._fields) else login

    def address(self, request: Request, authority: str) -> Request:
        """Return ``request``, whose target is in origin form, as it is for the proxy.

        ``authority``: of the URL; the Host of the request may be another one.
        """
        target = f"{request.scheme}://{authority}"
        # RFC 9112 section 3.2.4: OPTIONS for the whole server has no path.
        target += "" if request.target == "*" else request.target
        headers = [*request.headers, *self._fields]
        if self.login is not None and not has_authorization(request.headers):
            headers.append(("Proxy-Authorization", self.login.authorize(request.method, target)))
        return replace(request, target=target, headers=headers)

    def on_challenge(self, values: Iterable[str], *, has_content: bool) -> bool:
        """The proxy answered with 407 and these Proxy-Authenticate fields, for the first time.

        Return whether it is worth to send the request again.
        """
        return self.login is not None and self.login.on_challenge(
            values, answered=False, has_content=has_content
        )


def has_authorization(headers: Headers) -> bool:
    """Tell whether ``headers`` have credentials for a proxy."""
    return any(name.lower() == AUTHORIZATION for name, _ in headers)


def without_authorization(headers: Headers) -> Sequence[tuple[str, str]]:
    """Return ``headers`` for a server that is reached by a tunnel: nothing is for the proxy."""
    if not has_authorization(headers):
        return headers
    return [pair for pair in headers if pair[0].lower() != AUTHORIZATION]
