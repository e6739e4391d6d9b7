"""A file that the kernel copies into a socket: ``FileCopy`` alone."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from plait.transport.sendfile import FileCopy

pytestmark = pytest.mark.anyio

SIZE = 1 << 24
"""More than a socket takes."""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    with path.open("wb") as made:
        made.truncate(SIZE)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def start(sock: socket.socket, file: int, patience: float | None = 3600) -> FileCopy:
    return FileCopy(asyncio.get_running_loop(), sock.fileno(), file, 0, SIZE, patience)


async def test_what_is_small_is_sent_at_once(
    pair: tuple[socket.socket, socket.socket], file: int
) -> None:
    near, far = pair
    copy = FileCopy(asyncio.get_running_loop(), near.fileno(), file, 0, 1000, None)
    assert copy.done.done()
    copy.close()
    assert far.recv(2000) == bytes(1000)


async def test_a_peer_that_takes_nothing_is_lost(
    pair: tuple[socket.socket, socket.socket], file: int
) -> None:
    copy = start(pair[0], file)
    copy._look()  # It took what fits into the buffers.
    assert not copy.done.done()
    copy._look()
    with pytest.raises(ConnectionResetError, match="took nothing for 3600 seconds"):
        await copy.done
    copy.close()


async def test_a_peer_that_takes_little_is_not_lost(
    pair: tuple[socket.socket, socket.socket], file: int
) -> None:
    """Even if that is too little for the socket to say that it takes bytes again."""
    near, far = pair
    copy = start(near, file)
    copy._look()
    for _ in range(20):
        taken = 0
        while taken < 65536:  # The kernel gives back no less.
            taken += len(far.recv(65536))
        assert select.select([], [near], [], 0) == ([], [], [])
        copy._look()
        assert not copy.done.done()
    copy._look()
    assert copy.done.done()
    copy.close()


async def test_it_ends_with_what_it_stands_on(
    pair: tuple[socket.socket, socket.socket], file: int
) -> None:
    near, far = pair
    copy = start(near, file)
    copy.fail(ConnectionResetError("lost"))
    copy.fail(ConnectionResetError("lost again"))
    far.recv(1 << 20)
    copy._copy()  # The loop had that in its queue already.
    with pytest.raises(ConnectionResetError, match=r"^lost$"):
        await copy.done
    copy.close()


async def test_the_socket_is_still_there_for_others(
    pair: tuple[socket.socket, socket.socket], file: int
) -> None:
    near, far = pair
    start(near, file).close()
    while True:
        try:
            far.recv(1 << 20)
        except BlockingIOError:
            break
    assert near.send(b"more") == 4
    assert far.recv(10) == b"more"
