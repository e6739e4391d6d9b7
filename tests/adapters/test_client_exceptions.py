"""Exceptions as values: what they say, and that they can be sent to another process."""

from __future__ import annotations

import pickle
import ssl

import pytest
from multidict import CIMultiDict
from yarl import URL

import plait
from plait.client_exceptions import UnixClientConnectorError
from plait.client_reqrep import ConnectionKey

KEY = ConnectionKey("example.org", 443, is_ssl=True)
URL_ = URL("https://example.org/")
# A proxy cannot be pickled: that is multidict's.
INFO = plait.RequestInfo(URL_, "GET", CIMultiDict({"X": "1"}))  # type: ignore[arg-type]
REFUSED = ConnectionRefusedError(111, "refused")

EXCEPTIONS: list[Exception] = [
    plait.ClientResponseError(INFO, (), status=404, message="Not Found"),
    plait.ContentTypeError(INFO, (), status=200, message="no JSON"),
    plait.WSServerHandshakeError(INFO, (), status=403),
    plait.TooManyRedirects(INFO, ()),
    plait.ClientConnectorError(KEY, REFUSED),
    plait.ClientConnectorDNSError(KEY, OSError(None, "no name")),
    plait.ClientConnectorSSLError(KEY, ssl.SSLError(1, "handshake")),
    plait.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("expired")),
    plait.ClientConnectorCertificateError(KEY, ValueError("no certificate")),
    UnixClientConnectorError("/run/socket", KEY, REFUSED),
    plait.ServerDisconnectedError(),
    plait.ServerDisconnectedError("gone"),
    plait.ServerFingerprintMismatch(b"\x01", b"\x02", "example.org", 443),
    plait.InvalidURL("http://"),
    plait.InvalidUrlClientError("http://", "no host"),
    plait.NonHttpUrlClientError(URL_),
    plait.ConnectionTimeoutError("too slow"),
]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
def test_exceptions_survive_pickling(error: Exception) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        for name in ("status", "message", "host", "port", "url", "description", "expected"):
            assert getattr(copy, name, None) == getattr(error, name, None)


def test_what_connector_errors_say() -> None:
    error = plait.ClientConnectorError(KEY, REFUSED)
    assert str(error) == "Cannot connect to host example.org:443 ssl:default [refused]"
    assert (error.errno, error.os_error) == (111, REFUSED)
    cause = ValueError("no certificate")
    certificate_error = plait.ClientConnectorCertificateError(KEY, cause)
    assert certificate_error.certificate_error is cause
    assert "[ValueError: no certificate]" in str(certificate_error)


def test_code_is_the_old_name_of_status() -> None:
    with pytest.warns(DeprecationWarning, match="use status"):
        error = plait.ClientResponseError(INFO, (), code=404)
    assert error.status == 404
    with pytest.warns(DeprecationWarning, match="use status"):
        error.code = 410
    with pytest.warns(DeprecationWarning, match="use status"):
        assert error.code == error.status == 410
    with pytest.raises(ValueError, match="give status only"):
        plait.ClientResponseError(INFO, (), code=404, status=404)
