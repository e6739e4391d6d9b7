"""Exceptions as values: what they say, and that they can be sent to another process."""

from __future__ import annotations

import gc
import os
import pickle
import ssl
import subprocess
import sys
import traceback
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import plait
from plait.client_exceptions import UnixClientConnectorError
from plait.client_reqrep import ConnectionKey
from plait.http_exceptions import BadStatusLine
from plait_engine.engines import EngineName
from tests.adapters.raw_server import always, raw_server

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
    assert certificate_error.ssl is KEY.is_ssl
    assert str(certificate_error).endswith(" [ValueError: ('no certificate',)]")
    assert repr(cause) in repr(certificate_error)


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


# -- what is said ------------------------------------------------------------------------


def test_reprs_say_what_is_known() -> None:
    url = URL("http://example.org/")
    info = plait.RequestInfo(url, "GET", CIMultiDictProxy(CIMultiDict()))
    assert repr(plait.ClientResponseError(info, ())) == f"ClientResponseError({info!r}, ())"
    error = plait.ClientResponseError(info, (), status=404, message="no", headers=CIMultiDict())
    assert repr(error) == (
        f"ClientResponseError({info!r}, (), status=404, message='no', headers=<CIMultiDict()>)"
    )
    mismatch = plait.ServerFingerprintMismatch(b"a", b"b", "host", 443)
    assert repr(mismatch) == (
        "<ServerFingerprintMismatch expected=b'a' got=b'b' host='host' port=443>"
    )
    assert BadStatusLine(b"abc").line == "b'abc'"  # type: ignore[arg-type]  # programs do


@pytest.mark.parametrize(
    "url",
    ["ftp://user:secret@a.test/", "http://user:secret@1.2/", "http://a:secret@[::1", "//:secret@"],
)
def test_credentials_of_a_url_are_not_told(url: str) -> None:
    for error in (
        plait.InvalidURL(url),
        plait.InvalidUrlClientError(url, "no host"),
        plait.InvalidUrlRedirectClientError(url, "no host"),
        plait.NonHttpUrlClientError(url),
        plait.NonHttpUrlRedirectClientError(url),
    ):
        assert "secret" not in str(error)
        assert url.partition("@")[2] in str(error)
    assert plait.InvalidURL(url).url == url
    assert str(plait.InvalidURL("http://a.test/x@y?b@c")) == "http://a.test/x@y?b@c"


def test_a_password_is_in_no_repr() -> None:
    proxy = plait.BasicAuth.decode("Basic dXNlcjpzZWNyZXQ=")
    assert repr(proxy) == "BasicAuth(login='user', password=***, encoding='latin1')"
    error = plait.ClientProxyConnectionError(KEY._replace(proxy_auth=proxy), REFUSED)
    assert "user" in repr(error)
    assert "secret" not in repr(error)


@pytest.mark.anyio
async def test_an_unknown_keyword_is_named() -> None:
    async with plait.ClientSession() as session:
        for call in (session.get, session.post, session.head, session.delete):
            with pytest.raises(TypeError, match="'paramz'"):
                call("http://localhost/", paramz=1)  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="give a ClientTimeout"):
            await session.get("http://localhost/", timeout="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give a ClientTimeout"):
        plait.ClientSession(timeout=5)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_a_session_that_was_never_made_is_forgotten_silently() -> None:
    """An exception in ``__del__`` would fail the test."""
    with pytest.raises(TypeError, match="bogus"):
        plait.ClientSession(bogus=1)  # type: ignore[call-arg]
    gc.collect()


OUTLIVES = """
import asyncio, plait

async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

async def leave_open():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    session = plait.ClientSession()
    port = server.sockets[0].getsockname()[1]
    assert await (await session.get(f"http://127.0.0.1:{port}/")).read() == b"ok"
    return session

session = asyncio.run(leave_open())
del session
"""


def test_a_session_may_outlive_its_loop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUTLIVES],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Exception ignored" not in done.stderr, done.stderr


@pytest.mark.anyio
@pytest.mark.parametrize("engine", ["native", "reference"])
async def test_reading_after_the_end_of_the_session(engine: EngineName) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning"
    async with raw_server(always(answer)) as server:
        session = plait.ClientSession(engine=engine)
        response = await session.get(server.url)
        await session.close()
        with pytest.raises(plait.ClientConnectionError, match="Connection closed") as caught:
            await response.read()
        assert isinstance(caught.value, RuntimeError), "as programs of aiohttp expect"


SECRETS = CIMultiDictProxy(
    CIMultiDict(
        {
            "Authorization": "Bearer s3cret",
            "proxy-authorization": "Basic s3cret",
            "Cookie": "id=s3cret",
            "Set-Cookie": "id=s3cret",
            "X": "shown",
        }
    )
)
SECRET_URL = URL("http://me:s3cret@example.org/path")
SECRET_INFO = plait.RequestInfo(SECRET_URL, "GET", SECRETS, SECRET_URL)
SECRET_KEY = KEY._replace(
    proxy=URL("http://proxy"), proxy_auth=plait.BasicAuth._make_checked("me", "s3cret", "utf-8")
)


@pytest.mark.parametrize(
    "error",
    [
        plait.ClientResponseError(SECRET_INFO, (), status=500, message="m", headers=SECRETS),
        plait.ClientHttpProxyError(SECRET_INFO, (), status=403, headers=SECRETS),
        plait.WSServerHandshakeError(SECRET_INFO, (), status=403, headers=SECRETS),
        plait.ContentTypeError(SECRET_INFO, (), headers=SECRETS),
        plait.TooManyRedirects(SECRET_INFO, ()),
        plait.InvalidURL(SECRET_URL),
        plait.InvalidUrlClientError("http://me:s3cret@[", "no URL"),
        plait.NonHttpUrlClientError(SECRET_URL),
        plait.NonHttpUrlRedirectClientError("ftp://me:s3cret@example.org/"),
        plait.InvalidUrlRedirectClientError("http://me:s3cret@[", "no URL"),
        plait.ClientConnectorError(SECRET_KEY, REFUSED),
        plait.ClientProxyConnectionError(SECRET_KEY, REFUSED),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_credentials_are_in_what_errors_say(error: Exception) -> None:
    for text in (str(error), repr(error), f"{error!a}", *traceback.format_exception(error)):
        assert "s3cret" not in text
    if isinstance(error, plait.ClientResponseError):
        assert "'X': 'shown'" in repr(error)
        assert error.request_info.headers["Authorization"] == "Bearer s3cret"


@pytest.mark.anyio
async def test_no_credentials_are_in_the_repr_of_a_response() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=s3cret\r\nX: shown\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(always(answer)) as server, plait.ClientSession() as session:
        url = URL(server.url).with_user("me").with_password("s3cret")
        async with session.get(url, headers={"Cookie": "id=s3cret"}) as response:
            for shown in (response, response.request_info, response.history):
                assert "s3cret" not in repr(shown)
            assert "shown" in repr(response)
            assert response.headers["Set-Cookie"] == "id=s3cret"


def test_no_credentials_are_in_the_reprs_of_traces() -> None:
    for made in (
        plait.TraceRequestStartParams("GET", SECRET_URL, CIMultiDict(SECRETS)),
        plait.TraceRequestHeadersSentParams("GET", SECRET_URL, CIMultiDict(SECRETS)),
        plait.TraceRequestExceptionParams(
            "GET", SECRET_URL, CIMultiDict(SECRETS), plait.ClientResponseError(SECRET_INFO, ())
        ),
    ):
        assert "s3cret" not in repr(made)
        assert repr(made).startswith(f"{type(made).__name__}(method='GET', url=URL('http://exam")
        assert "'X': 'shown'" in repr(made)


@pytest.mark.anyio
async def test_bytes_that_are_no_text_can_be_logged() -> None:
    """``print`` and ``logging`` fail for surrogates."""
    moved = b"HTTP/1.1 302 \xff\r\nLocation: http://\xff/\r\nX: \xff\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(always(moved)) as server, plait.ClientSession() as session:
        async with session.get(server.url, allow_redirects=False) as response:
            repr(response).encode()
        with pytest.raises(plait.InvalidURL) as caught:
            await session.get(server.url)
    for text in (str(caught.value), repr(caught.value)):
        text.encode()


@pytest.mark.anyio
async def test_a_resolver_that_gives_up_is_not_told_as_a_deadline() -> None:
    class Resolver(plait.abc.AbstractResolver):
        async def resolve(self, *args: Any, **options: Any) -> list[Any]:
            raise TimeoutError("no answer of 192.0.2.53")

        async def close(self) -> None: ...

    connector = plait.TCPConnector(resolver=Resolver())
    async with plait.ClientSession(connector=connector) as session:
        with pytest.raises(plait.ConnectionTimeoutError, match=r"no answer of 192") as caught:
            await session.get("http://a.example/")
    assert "sock_connect" not in str(caught.value)
