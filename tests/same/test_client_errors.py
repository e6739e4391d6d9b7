"""The exceptions of a client as objects, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
import errno
import pickle
import ssl
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

import plait
import plait.client_exceptions
import plait.client_reqrep
from tests.same.conftest import Library

AIOHTTP, PLAIT = Library("aiohttp"), Library("plait")

KINDS = sorted(
    name
    for name in aiohttp.__all__
    if isinstance(getattr(aiohttp, name), type) and issubclass(getattr(aiohttp, name), Exception)
)


def key_of(library: Library) -> Any:
    kind = library.client_reqrep.ConnectionKey
    values = {"host": "a.example", "port": 80, "is_ssl": False, "ssl": True}
    return kind(**{name: values.get(name) for name in kind._fields})


def info_of(library: Library) -> Any:
    headers = CIMultiDict({"A": "1"})
    return library.top.RequestInfo(
        URL("http://a.example/"), "GET", headers, URL("http://a.example/")
    )


def refused() -> OSError:
    return OSError(errno.ECONNREFUSED, "refused")


MAKE: dict[str, Any] = {
    "ClientResponseError": lambda x: x.top.ClientResponseError(
        info_of(x), (), status=404, message="m", headers=CIMultiDict({"B": "2"})
    ),
    "ContentTypeError": lambda x: x.top.ContentTypeError(info_of(x), (), status=200, message="m"),
    "WSServerHandshakeError": lambda x: x.top.WSServerHandshakeError(info_of(x), (), message="m"),
    "TooManyRedirects": lambda x: x.top.TooManyRedirects(info_of(x), (), status=302),
    "ClientHttpProxyError": lambda x: x.top.ClientHttpProxyError(info_of(x), (), status=407),
    "ClientConnectorError": lambda x: x.top.ClientConnectorError(key_of(x), refused()),
    "ClientConnectorDNSError": lambda x: x.top.ClientConnectorDNSError(key_of(x), refused()),
    "ClientProxyConnectionError": lambda x: x.top.ClientProxyConnectionError(key_of(x), refused()),
    "ClientConnectorSSLError": lambda x: x.top.ClientConnectorSSLError(key_of(x), refused()),
    "ClientConnectorCertificateError": lambda x: x.top.ClientConnectorCertificateError(
        key_of(x), ssl.CertificateError("bad")
    ),
    "UnixClientConnectorError": lambda x: x.client_exceptions.UnixClientConnectorError(
        "/run/a", key_of(x), refused()
    ),
    "ServerDisconnectedError": lambda x: x.top.ServerDisconnectedError(),
    "ServerDisconnectedError-message": lambda x: x.top.ServerDisconnectedError("m"),
    "ServerFingerprintMismatch": lambda x: x.top.ServerFingerprintMismatch(b"a", b"b", "h", 1),
    "InvalidURL": lambda x: x.top.InvalidURL("u"),
    "InvalidURL-description": lambda x: x.top.InvalidURL("u", "d"),
    "InvalidUrlClientError": lambda x: x.top.InvalidUrlClientError(URL("u"), "d"),
    "ClientOSError": lambda x: x.top.ClientOSError(5, "m"),
    "ClientPayloadError": lambda x: x.top.ClientPayloadError("m"),
    "ConnectionTimeoutError": lambda x: x.top.ConnectionTimeoutError("m"),
    "SocketTimeoutError": lambda x: x.top.SocketTimeoutError("m"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_they_are(name: str) -> None:
    """Whoever catches one by a class that it has in aiohttp catches it here too."""
    theirs = [base.__name__ for base in getattr(aiohttp, name).__mro__]
    ours = [base.__name__ for base in getattr(plait, name).__mro__]
    assert [base for base in theirs if base not in ours] == []


@pytest.mark.parametrize("name", MAKE)
def test_what_they_tell(name: str) -> None:
    theirs, ours = MAKE[name](AIOHTTP), MAKE[name](PLAIT)
    for attribute in (
        "status", "message", "history", "host", "port", "ssl", "url", "description", "expected",
        "got", "path", "errno", "strerror",
    ):  # fmt: skip
        if hasattr(theirs, attribute):
            assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    if name != "ServerFingerprintMismatch":  # aiohttp's is the text of a tuple.
        assert str(ours) == str(theirs)


@pytest.mark.parametrize("name", MAKE)
def test_they_can_be_sent_to_other_processes(name: str) -> None:
    if name == "ClientConnectorCertificateError":
        return  # An ssl.CertificateError loses its state.
    error = MAKE[name](PLAIT)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_timeouts_are_those_of_asyncio(plain: Library) -> None:
    for name in ("ServerTimeoutError", "ConnectionTimeoutError", "SocketTimeoutError"):
        assert issubclass(getattr(plain.top, name), asyncio.TimeoutError)
        assert issubclass(getattr(plain.top, name), plain.top.ServerConnectionError)
