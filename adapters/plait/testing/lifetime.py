"""``async with`` for what a test starts and closes: a server, and the client of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Startable(ABC):
    """Starts where ``async with`` begins, and is closed where it ends, or when it cannot start."""

    @abstractmethod
    async def start_server(self) -> None:
        """Serve."""

    @abstractmethod
    async def close(self) -> None:
        """End what was started."""

    def __enter__(self) -> None:
        raise TypeError("closing needs await: write async with")

    def __exit__(self, *args: object) -> None:  # noqa: B027  # as it says
        """Never called; ``with`` looks for it before ``__enter__`` raises."""

    async def __aenter__(self) -> Self:
        try:
            await self.start_server()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
