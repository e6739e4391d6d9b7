"""What a client's caller can be told, as a tree of exceptions.

The tree is aiohttp's, so that ``except`` clauses written for it work::

    ClientError
      ClientConnectionError          the connection failed, or cannot be made
        ClientOSError (OSError)      ... with an error of the operating system
          ClientConnectorError       ... while connecting; names host and port
        ServerConnectionError
          ServerDisconnectedError    the server closed before it answered
          ServerTimeoutError (TimeoutError)
      ClientPayloadError             the body is cut short, broken, or cannot be sent again
      ClientResponseError            the answer is not what was asked for; has its status
      InvalidURL (ValueError)        the URL cannot be requested

``calls.errors`` is the one place that decides which of them an engine's event becomes.
"""

from __future__ import annotations

import asyncio
import ssl
import warnings
from typing import TYPE_CHECKING

from multidict import MultiMapping

from plait_engine.policy.secrecy import show_fields, without_credentials

from .typedefs import StrOrURL

if TYPE_CHECKING:
    from .client_reqrep import ClientResponse, ConnectionKey, Fingerprint, RequestInfo

__all__ = (
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHttpProxyError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientResponseError",
    "ClientSSLError",
    "ConnectionTimeoutError",
    "ContentTypeError",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "RedirectClientError",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TooManyRedirects",
    "UnixClientConnectorError",
    "UploadAbortedError",
    "WSMessageTypeError",
    "WSServerHandshakeError",
)


class ClientError(Exception):
    """The root of everything that goes wrong with a request.

    ``unprocessed``: the server has certainly done nothing with the request, so that it is safe
    to send it again, whatever its method.  plait's own.
    """

    unprocessed = False


class ClientResponseError(ClientError):
    """A response came that is an error, or that cannot be understood.

    ``status`` is the response's status, or 400 when the response was malformed.
    """

    def __init__(
        self,
        request_info: RequestInfo,
        history: tuple[ClientResponse, ...],
        *,
        code: int | None = None,
        status: int | None = None,
        message: str = "",
        headers: MultiMapping[str] | None = None,
    ) -> None:
        if code is not None:
            if status is not None:
                raise ValueError("code and status are the same: give status only")
            warnings.warn("code is deprecated, use status", DeprecationWarning, stacklevel=2)
            status = code
        self.request_info = request_info
        self.history = history
        self.status = 0 if status is None else status
        self.message = message
        self.headers = headers
        self.args = (request_info, history)

    @property
    def code(self) -> int:
        """The status.  Deprecated."""
        warnings.warn("code is deprecated, use status", DeprecationWarning, stacklevel=2)
        return self.status

    @code.setter
    def code(self, value: int) -> None:
        warnings.warn("code is deprecated, use status", DeprecationWarning, stacklevel=2)
        self.status = value

    def __str__(self) -> str:
        info = self.request_info
        url = None if info is None else without_credentials(str(info.real_url))
        return f"{self.status}, message={self.message!r}, url={url!r}"

    def __repr__(self) -> str:
        parts = [repr(self.request_info), repr(self.history)]
        if self.status:
            parts.append(f"status={self.status!r}")
        if self.message:
            parts.append(f"message={self.message!r}")
        if self.headers is not None:
            parts.append(f"headers={show_fields(self.headers)}")
        return f"{type(self).__name__}({', '.join(parts)})"


class ContentTypeError(ClientResponseError):
    """The body's media type is not what the caller expects (``ClientResponse.json``)."""


class WSServerHandshakeError(ClientResponseError):
    """The server did not accept the WebSocket."""


class ClientHttpProxyError(ClientResponseError):
    """The proxy refused CONNECT: ``status`` is that of its answer.  The server was sent nothing."""

    unprocessed = True


class TooManyRedirects(ClientResponseError):
    """More redirects than ``max_redirects``; ``history`` has them."""


class ClientConnectionError(ClientError):
    """The connection failed."""


class ClientConnectionResetError(ClientConnectionError, ConnectionResetError):
    """The connection or the stream was reset, or is closing while one writes to it."""


class ClientOSError(ClientConnectionError, OSError):
    """The operating system reported an error on the connection."""


class ClientConnectorError(ClientOSError):
    """The connection could not be made.  ``os_error`` says why; ``host`` and ``port``, where."""

    unprocessed = True

    def __init__(self, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._connection_key = connection_key
        self._os_error = os_error
        super().__init__(os_error.errno, os_error.strerror)
        self.args = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        """What the operating system said."""
        return self._os_error

    @property
    def host(self) -> str:
        """The host of the URL, or of the proxy."""
        return self._connection_key.host

    @property
    def port(self) -> int | None:
        """The port."""
        return self._connection_key.port

    @property
    def ssl(self) -> ssl.SSLContext | bool | Fingerprint:
        """The ``ssl`` argument in force."""
        return self._connection_key.ssl

    def __str__(self) -> str:
        reason = self._os_error.strerror or str(self._os_error)
        return (
            f"Cannot connect to host {self.host}:{self.port}"
            f" ssl:{'default' if self.ssl is True else self.ssl} [{reason}]"
        )

    __reduce__ = BaseException.__reduce__  # OSError's own would look at errno and strerror.


class ClientConnectorDNSError(ClientConnectorError):
    """The host's name could not be resolved."""


class ClientProxyConnectionError(ClientConnectorError):
    """The connection to the proxy could not be made."""


class UnixClientConnectorError(ClientConnectorError):
    """The connection to a Unix socket could not be made."""

    def __init__(self, path: str, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._path = path
        super().__init__(connection_key, os_error)
        self.args = (path, connection_key, os_error)

    @property
    def path(self) -> str:
        """The path of the socket."""
        return self._path

    def __str__(self) -> str:
        reason = self._os_error.strerror or str(self._os_error)
        return (
            f"Cannot connect to unix socket {self.path}"
            f" ssl:{'default' if self.ssl is True else self.ssl} [{reason}]"
        )


class ServerConnectionError(ClientConnectionError):
    """The server ended the connection in the wrong moment."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before it answered."""

    def __init__(self, message: str | None = None) -> None:
        self.message = "Server disconnected" if message is None else message
        super().__init__(self.message)


class ServerTimeoutError(ServerConnectionError, asyncio.TimeoutError):
    """The server took too long."""


class ConnectionTimeoutError(ServerTimeoutError):
    """No connection was to be had in time: ``ClientTimeout.connect``, ``sock_connect``, ``pool``."""

    unprocessed = True


class SocketTimeoutError(ServerTimeoutError):
    """Nothing came within ``ClientTimeout.sock_read``, or nothing left within ``write``."""


class ServerFingerprintMismatch(ServerConnectionError):
    """The server's certificate is not the one that ``Fingerprint`` asks for."""

    unprocessed = True

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port
        super().__init__(expected, got, host, port)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} expected={self.expected!r} got={self.got!r}"
            f" host={self.host!r} port={self.port!r}>"
        )

    def __str__(self) -> str:
        return (
            f"the certificate of {self.host}:{self.port} has the fingerprint"
            f" {self.got.hex()}, not {self.expected.hex()}"
        )


class ClientPayloadError(ClientError):
    """A body is incomplete, its coding is broken, or it cannot be sent a second time.

    Of a response that was cut short, and plait's own: ``received`` and ``expected`` are bytes
    as they were sent, ``None`` if that is not known; ``partial`` is what ``response.read()``
    (``text()``, ``json()``) had by then, decoded.
    """

    received: int | None = None
    expected: int | None = None
    partial: bytes | None = None


class UploadAbortedError(ClientError):
    """The request's body was not sent to its end."""


class InvalidURL(ClientError, ValueError):
    """The URL cannot be requested.  What the error says leaves credentials in the URL out."""

    def __init__(self, url: StrOrURL, description: str | None = None) -> None:
        self._url = url
        self._description = description
        if description is None:
            super().__init__(url)
        else:
            super().__init__(url, description)

    @property
    def url(self) -> StrOrURL:
        """The URL in question."""
        return self._url

    @property
    def description(self) -> str | None:
        """What is wrong with it."""
        return self._description

    def __str__(self) -> str:
        url = without_credentials(str(self._url))
        return f"{url} - {self._description}" if self._description else url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlClientError(InvalidURL):
    """The URL of the request is invalid."""


class RedirectClientError(ClientError):
    """A redirect leads where no request can go."""


class NonHttpUrlClientError(ClientError):
    """The scheme of the URL is not one of HTTP."""

    def __str__(self) -> str:
        return without_credentials(super().__str__())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """The URL of a redirect is invalid."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """The scheme of a redirect's URL is not one of HTTP."""


class ClientSSLError(ClientConnectorError):
    """TLS could not be set up."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed."""


class ClientConnectorCertificateError(ClientSSLError, ssl.SSLCertVerificationError):
    """The server's certificate was not accepted."""

    def __init__(self, connection_key: ConnectionKey, certificate_error: Exception) -> None:
        self._certificate_error = certificate_error
        error = certificate_error
        if not isinstance(error, OSError):
            error = OSError(None, str(error))
        super().__init__(connection_key, error)
        self.args = (connection_key, certificate_error)

    @property
    def ssl(self) -> bool:
        """Whether TLS was asked for."""
        return self._connection_key.is_ssl

    @property
    def certificate_error(self) -> Exception:
        """What was wrong with the certificate."""
        return self._certificate_error

    def __str__(self) -> str:
        error = self._certificate_error
        return (
            f"Cannot connect to host {self.host}:{self.port} ssl:{self.ssl}"
            f" [{type(error).__name__}: {error.args}]"
        )


class WSMessageTypeError(TypeError):
    """A WebSocket message of another type than the one asked for was received."""
