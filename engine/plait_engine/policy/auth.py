"""Basic authentication (RFC 7617): a login and a password, joined by a colon, in base64.

They may come from a netrc file, which says them by hosts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TypeAlias

from .redirect import Origin

NetrcEntry: TypeAlias = tuple[str, str | None, str | None]
"""A login, an account and a password, as ``netrc.netrc.hosts`` has them for each host."""


def encode_basic_credentials(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Return the value of ``Authorization``.

    Raises ValueError for a colon in ``login`` (RFC 7617 section 2) and for text that
    ``encoding`` does not have.
    """
    if ":" in login:
        raise ValueError("a login must not have a colon (RFC 7617 section 2)")
    data = f"{login}:{password}".encode(encoding)
    return "Basic " + base64.b64encode(data).decode("ascii")


def decode_basic_credentials(value: str, encoding: str = "utf-8") -> tuple[str, str]:
    """Return login and password of an ``Authorization`` value.

    Raises ValueError when it is no Basic authentication or is malformed.
    """
    scheme, separator, encoded = value.lstrip(" ").partition(" ")
    if not separator:
        raise ValueError("could not parse the authorization header")
    if scheme.lower() != "basic":
        raise ValueError(f"unknown authorization method {scheme}")
    try:
        encoded = encoded.strip(" ")
        if not encoded:
            raise binascii.Error("nothing is encoded")
        decoded = base64.b64decode(encoded.encode("ascii"), validate=True)
        text = decoded.decode(encoding)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("Invalid base64 encoding of credentials") from error
    login, separator, password = text.partition(":")
    if not separator:
        raise ValueError("Invalid credentials: there is no colon")
    return login, password


def find_netrc_login(hosts: Mapping[str, NetrcEntry], host: str) -> tuple[str, str] | None:
    """Return the login and the password that a netrc file has for ``host``, or for any host."""
    entry = hosts.get(host) or hosts.get("default")
    if entry is None:
        return None
    login, account, password = entry
    return login or account or "", password or ""


def choose_netrc_login(
    hosts: Mapping[str, NetrcEntry], host: str, there: Origin, first: Origin
) -> tuple[str, str] | None:
    """Return what a netrc file has for a request to ``host``; see ``may_use_netrc``."""
    if not may_use_netrc(there, first, is_named=host in hosts):
        return None
    return find_netrc_login(hosts, host)


def may_use_netrc(there: Origin, first: Origin, *, is_named: bool) -> bool:
    """Tell whether the netrc entry for the host of ``there`` is for a request to it.

    ``first``: the origin of the call, from which a redirect may have led there.  ``is_named``:
    the entry has the name of the host, and is not the one for any host (``default``).

    A redirect gets what was written down for that host, as in other clients; it does not get
    what is for any host, and nothing where it leaves TLS.
    """
    if there == first:
        return True
    return is_named and not (first.scheme != "http" and there.scheme == "http")
