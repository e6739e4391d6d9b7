"""Names to addresses: through the operating system in a thread, or through aiodns."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from typing import Any, Final

from .abc import AbstractResolver, ResolveResult

__all__ = ("AsyncResolver", "DefaultResolver", "ThreadedResolver")

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class ThreadedResolver(AbstractResolver):
    """Asks the operating system, in a thread (``loop.getaddrinfo``)."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``.  Raises OSError."""
        infos = await self._loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        results: list[ResolveResult] = []
        for its_family, _, proto, _, address in infos:
            if isinstance(address[1], bytes):
                continue  # Of IPv6, a Python without it has raw bytes only.
            ip, its_port = str(address[0]), address[1]
            if its_family is socket.AF_INET6 and len(address) == 4 and address[3]:
                # A link-local address: only getnameinfo writes its zone.
                ip, service = await self._loop.getnameinfo(address, _NUMERIC)
                its_port = int(service)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=ip,
                    port=its_port,
                    family=its_family,
                    proto=proto,
                    flags=_NUMERIC,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing to close."""


class AsyncResolver(AbstractResolver):
    """Asks name servers itself, by aiodns.  Raises RuntimeError without that package."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, *args: Any, **kwargs: Any
    ) -> None:
        if importlib.util.find_spec("aiodns") is None:
            raise RuntimeError("AsyncResolver needs the package aiodns")
        import aiodns  # type: ignore[import-not-found,unused-ignore]  # optional

        # aiodns has no types that hold across its versions: Any.
        self._resolver: Any = aiodns.DNSResolver(*args, **kwargs)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``.  Raises OSError."""
        import aiodns

        try:
            answer = await self._resolver.getaddrinfo(
                host, port=port, type=socket.SOCK_STREAM, family=family
            )
        except aiodns.error.DNSError as error:
            message = error.args[1] if len(error.args) > 1 else "DNS lookup failed"
            raise OSError(None, message) from error
        results = [
            ResolveResult(
                hostname=host,
                host=node.addr[0].decode("ascii"),
                port=node.addr[1],
                family=node.family,
                proto=0,
                flags=_NUMERIC,
            )
            for node in answer.nodes
        ]
        if not results:
            raise OSError(None, "DNS lookup failed")
        return results

    async def close(self) -> None:
        """Cancel what is being asked."""
        self._resolver.cancel()


DefaultResolver: type[AsyncResolver] | type[ThreadedResolver] = (
    AsyncResolver if importlib.util.find_spec("aiodns") else ThreadedResolver
)
