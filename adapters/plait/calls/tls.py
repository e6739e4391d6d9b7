"""TLS of the client: which context, and which protocols it offers.

ALPN decides between HTTP/2 and HTTP/1.1 (RFC 7301; RFC 9113 section 3.2).  The connector
sets what is offered on the context that it uses, a context of the caller's included.
"""

from __future__ import annotations

import asyncio
import functools
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from plait.client_exceptions import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
)

from .target import ConnectionKey
from .verification import TLSOption


@functools.cache
def default_context(verified: bool, protocols: tuple[str, ...]) -> ssl_module.SSLContext:
    """Return the shared context that verifies certificates, or that does not."""
    context = ssl_module.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl_module.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


class TLSContexts:
    """The contexts of all connectors of a loop: the shared ones, and those of callers.

    What a context offers by ALPN is an attribute of the context, and OpenSSL reads it when
    a handshake begins.  So handshakes that offer something else on a caller's context (a
    WebSocket wants HTTP/1.1, and so may another connector) wait until those that are under
    way are through.
    """

    def __init__(self) -> None:
        self._offers: WeakKeyDictionary[ssl_module.SSLContext, _Offer] = WeakKeyDictionary()

    @asynccontextmanager
    async def offering(
        self, option: TLSOption, protocols: tuple[str, ...]
    ) -> AsyncIterator[ssl_module.SSLContext]:
        """Give the context for the ``ssl`` argument ``option``, for one handshake.

        A fingerprint takes the place of the verification by authorities.
        """
        if not isinstance(option, ssl_module.SSLContext):
            yield default_context(option is True, protocols)
            return
        offer = self._offers.setdefault(option, _Offer())
        while offer.handshakes and offer.protocols != protocols:
            await offer.is_over.wait()
        offer.protocols = protocols
        offer.handshakes += 1
        try:
            option.set_alpn_protocols(list(protocols))
            yield option
        finally:
            offer.handshakes -= 1
            if not offer.handshakes:
                offer.is_over.set()
                offer.is_over = asyncio.Event()

    @asynccontextmanager
    async def connecting(
        self,
        key: ConnectionKey,
        option: TLSOption,
        protocols: tuple[str, ...],
        failure: Callable[[ConnectionKey, OSError], ClientConnectorError],
    ) -> AsyncIterator[dict[str, Any]]:
        """Give what asyncio's methods that connect take for TLS to the host of ``key``.

        That is nothing for a host without TLS.  ``option`` and ``protocols``: see ``offering``.
        What goes wrong inside is raised as one of the client's errors; ``failure`` makes it when
        the operating system reports one.
        """
        try:
            if not key.is_ssl:
                yield {}
                return
            name = key.server_hostname or key.host.rstrip(".")
            async with self.offering(option, protocols) as context:
                yield {"ssl": context, "server_hostname": name}
        except ClientConnectorError:
            raise
        except ssl_module.CertificateError as exc:
            raise ClientConnectorCertificateError(key, exc) from exc
        except ssl_module.SSLError as exc:
            raise ClientConnectorSSLError(key, exc) from exc
        except OSError as exc:
            if exc.errno is None and isinstance(exc, TimeoutError):
                raise
            raise failure(key, exc) from exc


_contexts: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, TLSContexts]] = WeakKeyDictionary()


def contexts_of(loop: asyncio.AbstractEventLoop) -> TLSContexts:
    """Return the contexts of the connectors of ``loop``; two of them may be given the same one."""
    return _contexts.setdefault(loop, TLSContexts())


class _Offer:
    """What a context offers now, and for how many handshakes."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        """Set, and replaced, when no handshake is under way."""
        self.protocols: tuple[str, ...] = ()
        self.handshakes = 0
