"""The attempts to get a tunnel to one server: what to say to the proxy, and whether once more.

An attempt has a connection to the proxy of its own.  Another one follows when there is something
else to say: an answer to a challenge (RFC 9110 section 11.7.1), or another address of the server,
where names are looked up on this side::

      begin() -> Handshake     say that on a new connection
      goes_on(error) -> bool   it failed: is there another attempt?
"""

from __future__ import annotations

from collections.abc import Sequence

from plait_engine.headers import Headers, get, get_all

from .choice import Way
from .connect import ConnectHandshake
from .forward import has_authorization
from .handshake import Handshake, TunnelError, TunnelRefusedError
from .login import PROXY_CHALLENGE, ProxyLogin
from .socks import Socks4Handshake, Socks5Handshake


class TunnelAttempts:
    """See the module.

    Args:
        way, scheme: what the proxy is asked for, and the scheme of its URL.
        hosts: the server: one name, or its addresses.
        port: of the server.
        headers: the fields for an HTTP proxy.
        login: the credentials for the proxy, if there are any.
        user_agent: sent to an HTTP proxy, unless ``headers`` say another one.
    """

    def __init__(
        self,
        way: Way,
        scheme: str,
        hosts: Sequence[str],
        port: int,
        *,
        headers: Headers = (),
        login: ProxyLogin | None = None,
        user_agent: str | None = None,
    ) -> None:
        self._is_http = way is Way.CONNECT
        self._is_socks4 = scheme.startswith("socks4")
        self._hosts = list(hosts)
        self._port = port
        self.headers = list(headers)
        """Those of CONNECT, without the credentials of ``login``."""
        if user_agent is not None and get(headers, "user-agent") is None:
            self.headers.append(("User-Agent", user_agent))
        self._login = None if self._is_http and has_authorization(headers) else login
        self._is_answer = False

    def begin(self) -> Handshake:
        """Return what to say in the next attempt.  Raises ValueError for what cannot be said."""
        host, login = self._hosts[0], self._login
        if self._is_socks4:
            return Socks4Handshake(host, self._port, "" if login is None else login.name)
        if not self._is_http:
            return Socks5Handshake(
                host, self._port, None if login is None else (login.name, login.password)
            )
        if ":" in host:
            host = f"[{host.partition('%')[0]}]"  # A zone means something on this machine only.
        authority = f"{host}:{self._port}"
        headers = self.headers
        if login is not None:
            credentials = login.authorize("CONNECT", authority)
            headers = [*headers, ("Proxy-Authorization", credentials)]
        return ConnectHandshake(authority, headers)

    def goes_on(self, error: TunnelError) -> bool:
        """The attempt failed with ``error``; tell whether to begin another one."""
        if isinstance(error, TunnelRefusedError):
            self._is_answer = (
                error.status == PROXY_CHALLENGE
                and self._login is not None
                and self._login.on_challenge(
                    get_all(error.headers, "proxy-authenticate"),
                    answered=self._is_answer,
                    has_content=False,
                )
            )
            return self._is_answer
        del self._hosts[0]
        return bool(self._hosts) and not self._is_http
