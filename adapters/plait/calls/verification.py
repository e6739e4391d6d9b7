"""The ``ssl`` argument of requests and connectors: what TLS verifies, and against what."""

from __future__ import annotations

import asyncio
import hashlib
import ssl as ssl_module
from typing import Final, TypeAlias
from warnings import warn

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
            raise ValueError("fingerprints by MD5 and SHA-1 are insecure: give that by SHA-256")
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

    def check(self, transport: asyncio.BaseTransport) -> None:
        """Check the certificate that the peer of ``transport`` has shown; without TLS nothing."""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            host, port, *_ = transport.get_extra_info("peername")
            self.check_certificate(tls.getpeercert(binary_form=True), host, port)


TLSOption: TypeAlias = ssl_module.SSLContext | bool | Fingerprint
"""The ``ssl`` argument of requests and connectors."""


def merge_ssl_params(
    ssl: TLSOption,
    verify_ssl: bool | None,
    ssl_context: ssl_module.SSLContext | None,
    fingerprint: bytes | None,
) -> TLSOption:
    """Return the ``ssl`` argument that the deprecated arguments mean.

    Raises ValueError when more than one is given, TypeError for a wrong type.
    """
    if ssl is None:
        ssl = True
    replacements: list[TLSOption] = []
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
