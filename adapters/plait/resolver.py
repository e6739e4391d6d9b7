"""Names to addresses: through the operating system in a thread, or through aiodns."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from typing import Any, ClassVar, Final, Self
from weakref import WeakKeyDictionary, WeakSet

from .abc import AbstractResolver, ResolveResult

__all__ = ("AsyncResolver", "DefaultResolver", "ThreadedResolver")

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
NUMERIC_NAMES: Final = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
"""Have getnameinfo write the address and ask nobody."""


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
                ip, service = await self._loop.getnameinfo(address, NUMERIC_NAMES)
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
    """Asks name servers itself, by aiodns.  Raises RuntimeError without that package.

    ``args``, ``kwargs``: of ``aiodns.DNSResolver``.  Without any, all resolvers of a loop share
    one of those.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, *args: Any, **kwargs: Any
    ) -> None:
        if importlib.util.find_spec("aiodns") is None:
            raise RuntimeError("AsyncResolver needs the package aiodns")
        import aiodns  # type: ignore[import-not-found,unused-ignore]  # optional

        self._loop = loop or asyncio.get_running_loop()
        self._manager: SharedResolvers | None = None
        # aiodns has no types that hold across its versions: Any.
        self._resolver: Any
        if args or kwargs:
            self._resolver = aiodns.DNSResolver(*args, loop=self._loop, **kwargs)
        else:
            self._manager = SharedResolvers()
            self._resolver = self._manager.get_resolver(self, self._loop)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``.  Raises OSError."""
        import aiodns

        if self._resolver is None:
            raise OSError(None, "the resolver is closed")
        try:
            results = await self._ask(host, port, family)
        except aiodns.error.DNSError as error:
            message = error.args[1] if len(error.args) > 1 else "DNS lookup failed"
            raise OSError(None, message) from error
        if not results:
            raise OSError(None, "DNS lookup failed")
        return results

    async def _ask(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        """Return what aiodns finds.  Raises its DNSError."""
        answer = await self._resolver.getaddrinfo(
            host,
            port=port,
            type=socket.SOCK_STREAM,
            family=family,
            flags=socket.AI_ADDRCONFIG,
        )
        results: list[ResolveResult] = []
        for node in answer.nodes:
            ip, its_port = node.addr[0].decode("ascii"), node.addr[1]
            if node.family == socket.AF_INET6 and len(node.addr) > 3 and node.addr[3]:
                # A link-local address: only getnameinfo writes its zone.
                named = await self._resolver.getnameinfo((ip, *node.addr[1:]), NUMERIC_NAMES)
                ip = named.node
            results.append(
                ResolveResult(
                    hostname=host,
                    host=ip,
                    port=its_port,
                    family=node.family,
                    proto=0,
                    flags=_NUMERIC,
                )
            )
        return results

    async def close(self) -> None:
        """Cancel what is being asked, unless others share it."""
        resolver, self._resolver = self._resolver, None
        if self._manager is not None:
            self._manager.release_resolver(self, self._loop)
        elif resolver is not None:
            resolver.cancel()


class SharedResolvers:
    """The ``aiodns.DNSResolver`` of each loop that all with default settings share.

    There is one object of this class.  A DNSResolver has sockets, and in newer versions a thread
    of its own: too much to have one for each of many sessions.
    """

    _instance: ClassVar[Self | None] = None

    # aiodns has no types that hold across its versions: Any.
    _loop_data: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Any, WeakSet[AsyncResolver]]]
    """The DNSResolver of a loop, and who shares it."""

    def __new__(cls) -> Self:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance._loop_data = WeakKeyDictionary()
        return cls._instance

    def get_resolver(self, client: AsyncResolver, loop: asyncio.AbstractEventLoop) -> Any:
        """Return the DNSResolver of ``loop``, which ``client`` shares from now on."""
        import aiodns

        if loop not in self._loop_data:
            self._loop_data[loop] = (aiodns.DNSResolver(loop=loop), WeakSet())
        resolver, clients = self._loop_data[loop]
        clients.add(client)
        return resolver

    def release_resolver(self, client: AsyncResolver, loop: asyncio.AbstractEventLoop) -> None:
        """``client`` needs it no more; the last one cancels it."""
        resolver, clients = self._loop_data.get(loop, (None, WeakSet()))
        clients.discard(client)
        if not clients:
            self._loop_data.pop(loop, None)
            if resolver is not None:
                resolver.cancel()


DefaultResolver: type[AsyncResolver] | type[ThreadedResolver] = (
    AsyncResolver if importlib.util.find_spec("aiodns") else ThreadedResolver
)
