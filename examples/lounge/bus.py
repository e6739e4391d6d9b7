"""Messages between all who listen, in this process and in the other workers.

Each process has a Unix datagram socket in one folder.  A message is published to the listeners
of this process and sent to each other socket, which publishes it there.  A datagram is whole
or not there at all; one that finds a full socket is lost, as is what a listener does not fetch
in time: a chat does not wait for its slowest guest.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]  # What JSON can say.

LONGEST = 65_536
"""Bytes of a message."""

UNFETCHED = 1000
"""Messages that wait for a listener."""

Listener: TypeAlias = "asyncio.Queue[Message | None]"
"""What a listener has not heard yet; ``None`` says that nothing more comes."""


class Bus:
    """One process's end of the bus.

    Args:
        folder: where the sockets of all processes are.
        remembered: how many messages of each room a new guest is shown.
    """

    def __init__(self, folder: Path, remembered: int = 50) -> None:
        self._folder = folder
        self._path = folder / str(os.getpid())
        self._remembered = remembered
        self._history: dict[str, deque[Message]] = {}
        self._listeners: set[Listener] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def open(self) -> None:
        """Hear the other processes from now on.  Needs a running loop."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)  # Of a process that had this number and crashed.
        self._socket.setblocking(False)
        self._socket.bind(str(self._path))
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def end(self) -> None:
        """Tell the listeners of this process that nothing more comes."""
        for listener in self._listeners:
            listener.put_nowait(None)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def publish(self, message: Message) -> None:
        """Tell everybody, here and in the other processes."""
        self._deliver(message)
        data = json.dumps(message).encode()
        for path in self._folder.iterdir():
            if path != self._path:
                try:
                    self._socket.sendto(data, str(path))
                except ConnectionRefusedError:  # Its process is gone.
                    path.unlink(missing_ok=True)
                except (BlockingIOError, FileNotFoundError):
                    pass

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """Give what is published while the block runs."""
        listener: Listener = asyncio.Queue()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def history(self, room: str) -> list[Message]:
        """Return what was said in a room lately, the oldest first."""
        return list(self._history.get(room, ()))

    def _receive(self) -> None:
        while True:
            try:
                data = self._socket.recv(LONGEST)
            except BlockingIOError:
                return
            self._deliver(json.loads(data))

    def _deliver(self, message: Message) -> None:
        if message["kind"] == "said":
            history = self._history.setdefault(message["room"], deque(maxlen=self._remembered))
            history.append(message)
        for listener in self._listeners:
            if listener.qsize() < UNFETCHED:
                listener.put_nowait(message)
