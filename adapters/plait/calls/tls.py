"""TLS of the client: which context, and which protocols it offers.

ALPN decides between HTTP/2 and HTTP/1.1 (RFC 7301; RFC 9113 section 3.2).  The connector
sets what is offered on the context that it uses, a context of the caller's included.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ssl as ssl_module
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from warnings import warn
from weakref import WeakKeyDictionary

from plait.client_exceptions import ServerFingerprintMismatch


class Fingerprint:
    """The SHA-256 digest of the certificate that the server must have.

    Raises ValueError for digests of another length; MD5 and SHA-1 are not safe.
    """

    HASHFUNC_BY_DIGESTLEN: Final = {
        16: hashlib.md5,
        20: hashlib.sha1,
        32: hashlib.sha256,
    }

    def __init__(self, fingerprint: bytes) -> None:
        function = self.HASHFUNC_BY_DIGESTLEN.get(len(fingerprint))
        if function is None:
            raise ValueError("the fingerprint has an invalid length")
        if function is not hashlib.sha256:
            raise ValueError("MD5 and SHA-1 are insecure and not supported: use SHA-256")
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> bytes:
        """The digest."""
        return self._fingerprint

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Fingerprint):
            return self._fingerprint == other._fingerprint
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def check_certificate(self, certificate: bytes, host: str, port: int) -> None:
        """Raise ServerFingerprintMismatch unless ``certificate`` (DER) is the one."""
        got = hashlib.sha256(certificate).digest()
        if got != self._fingerprint:
            raise ServerFingerprintMismatch(self._fingerprint, got, host, port)


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
    """The contexts of a connector: the shared ones, and those of the caller.

    What a context offers by ALPN is an attribute of the context, and OpenSSL reads it when
    a handshake begins.  So handshakes that offer something else on a caller's context (a
    WebSocket wants HTTP/1.1) wait until those that are under way are through.
    """

    def __init__(self) -> None:
        self._offers: WeakKeyDictionary[ssl_module.SSLContext, _Offer] = WeakKeyDictionary()

    @asynccontextmanager
    async def offering(
        self, option: ssl_module.SSLContext | bool | Fingerprint, protocols: tuple[str, ...]
    ) -> AsyncIterator[ssl_module.SSLContext]:
        """Give the context for the ``ssl`` argument ``option``, for one handshake.

        A fingerprint takes the place of the verification by authorities.
        """
        if not isinstance(option, ssl_module.SSLContext):
            yield default_context(option is True, protocols)
            return
        offer = self._offers.setdefault(option, _Offer())
        async with offer.changed:
            await offer.changed.wait_for(
                lambda: not offer.handshakes or offer.protocols == protocols
            )
            offer.protocols = protocols
            offer.handshakes += 1
        try:
            option.set_alpn_protocols(list(protocols))
            yield option
        finally:
            offer.handshakes -= 1
            async with offer.changed:
                offer.changed.notify_all()


class _Offer:
    """What a context offers now, and for how many handshakes."""

    def __init__(self) -> None:
        self.changed = asyncio.Condition()
        self.protocols: tuple[str, ...] = ()
        self.handshakes = 0


def merge_ssl_params(
    ssl: ssl_module.SSLContext | bool | Fingerprint,
    verify_ssl: bool | None,
    ssl_context: ssl_module.SSLContext | None,
    fingerprint: bytes | None,
) -> ssl_module.SSLContext | bool | Fingerprint:
    """Return the ``ssl`` argument that the deprecated arguments mean.

    Raises ValueError when more than one is given, TypeError for a wrong type.
    """
    if ssl is None:
        ssl = True
    replacements: list[ssl_module.SSLContext | bool | Fingerprint] = []
    if verify_ssl is not None and not verify_ssl:
        warn("verify_ssl is deprecated, use ssl=False", DeprecationWarning, stacklevel=3)
        replacements.append(False)
    if ssl_context is not None:
        warn("ssl_context is deprecated, use ssl=context", DeprecationWarning, stacklevel=3)
        replacements.append(ssl_context)
    if fingerprint is not None:
        warn(
            "fingerprint is deprecated, use ssl=Fingerprint(fingerprint)",
            DeprecationWarning,
            stacklevel=3,
        )
        replacements.append(Fingerprint(fingerprint))
    if len(replacements) > 1 or (replacements and ssl is not True):
        raise ValueError("verify_ssl, ssl_context, fingerprint and ssl exclude each other")
    if replacements:
        ssl = replacements[0]
    if not isinstance(ssl, ssl_module.SSLContext | bool | Fingerprint):
        raise TypeError(f"ssl should be SSLContext, Fingerprint or bool, got {ssl!r} instead.")
    return ssl
