"""The proxy of a call, and what the environment says: a proxy, and credentials of a netrc file.

``ClientSession(trust_env=True)`` asks the environment.  Each hop of a call is asked for by itself: after a
redirect another proxy, or none, may be the right one.  Files are read in a thread.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from yarl import URL

from plait.client_exceptions import InvalidURL
from plait.helpers import (
    BasicAuth,
    _basic_auth_no_warn,
    get_env_proxy_for_url,
    netrc_from_env,
)
from plait.typedefs import LooseHeaders, StrOrURL
from plait_engine.policy.auth import choose_netrc_login

from .target import check_proxy, origin


class ProxyChoice(NamedTuple):
    """The proxy that a call is to go by; without ``proxy``: the environment's."""

    proxy: URL | None
    auth: BasicAuth | None
    headers: LooseHeaders | None


def read_proxy(proxy: StrOrURL) -> URL:
    """Return the URL of a proxy.  Raises InvalidURL, and TypeError for another type."""
    if not isinstance(proxy, str | URL):
        raise TypeError(f"a proxy must be a str or a URL, not {type(proxy).__name__}")
    try:
        return check_proxy(URL(proxy))
    except ValueError as error:
        if isinstance(error, InvalidURL):
            raise
        raise InvalidURL("", "the proxy is no URL") from error


def choose_proxy(
    proxy: StrOrURL | None,
    auth: BasicAuth | None,
    headers: LooseHeaders | None,
    *,
    of_session: URL | None,
    auth_of_session: BasicAuth | None,
) -> ProxyChoice | None:
    """Return the proxy of a call, from its arguments and the session's.

    An empty ``proxy`` says that there is none.  Raises InvalidURL.
    """
    if proxy is not None:
        if not proxy:
            return None
        if auth is None and of_session is None:
            auth = auth_of_session  # Else it is for the session's proxy.
        return ProxyChoice(read_proxy(proxy), auth, headers)
    return ProxyChoice(of_session, auth_of_session if auth is None else auth, headers)


class Environment(NamedTuple):
    """What it says about one hop."""

    proxy: URL | None = None
    proxy_auth: BasicAuth | None = None
    auth: BasicAuth | None = None
    """The credentials for the server."""


NOTHING_SAID: Final = Environment()


async def ask_environment(
    url: URL, first: URL, *, wants_proxy: bool, wants_auth: bool
) -> Environment:
    """Return what the environment says about a request for ``url``.

    ``first``: the URL of the call, from which redirects may have led to ``url``.
    """
    return await asyncio.to_thread(_ask, url, first, wants_proxy, wants_auth)


def _ask(url: URL, first: URL, wants_proxy: bool, wants_auth: bool) -> Environment:
    proxy, proxy_auth = None, None
    if wants_proxy:
        try:
            proxy, proxy_auth = get_env_proxy_for_url(url)
        except LookupError:
            pass
        except ValueError as error:
            raise InvalidURL("", "the proxy of the environment is no URL") from error
    auth = _credentials(url, first) if wants_auth else None
    return Environment(proxy, proxy_auth, auth)


def _credentials(url: URL, first: URL) -> BasicAuth | None:
    """Return the credentials that a netrc file has for the host of ``url``."""
    host = url.host
    found = netrc_from_env()
    if host is None or found is None:
        return None
    login = choose_netrc_login(found.hosts, host, origin(url), origin(first))
    return None if login is None else _basic_auth_no_warn(*login)
