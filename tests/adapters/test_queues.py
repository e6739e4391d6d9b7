"""``DataQueue`` and ``FlowControlDataQueue``."""

from __future__ import annotations

import asyncio

import pytest

import plait

pytestmark = pytest.mark.anyio


class Protocol:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@pytest.fixture(params=["plain", "controlled"])
async def queue(request: pytest.FixtureRequest) -> plait.DataQueue[str]:
    loop = asyncio.get_running_loop()
    if request.param == "plain":
        return plait.DataQueue(loop)
    return plait.FlowControlDataQueue(Protocol(), 2**16, loop=loop)


async def test_what_is_fed_is_read(queue: plait.DataQueue[str]) -> None:
    queue.feed_data("a", 1)
    queue.feed_data("", 0)
    assert len(queue) == 2
    assert not queue.is_eof()
    queue.feed_eof()
    assert (queue.is_eof(), queue.at_eof()) == (True, False)
    assert [item async for item in queue] == ["a", ""]
    assert queue.at_eof()
    with pytest.raises(plait.EofStream):
        await queue.read()


async def test_a_reader_waits(queue: plait.DataQueue[str]) -> None:
    reader = asyncio.create_task(queue.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already waiting"):
        await queue.read()
    queue.feed_data("a", 1)
    queue.feed_data("b", 1)
    assert await reader == "a"
    assert await queue.read() == "b"


@pytest.mark.parametrize("how", ["eof", "exception"])
async def test_a_reader_is_told_of_the_end(queue: plait.DataQueue[str], how: str) -> None:
    reader = asyncio.create_task(queue.read())
    await asyncio.sleep(0)
    if how == "eof":
        queue.feed_eof()
    else:
        queue.set_exception(LookupError("broken"), KeyError("why"))
    with pytest.raises(plait.EofStream if how == "eof" else LookupError):
        await reader
    assert queue.is_eof()


async def test_what_was_fed_before_an_exception_is_read(queue: plait.DataQueue[str]) -> None:
    queue.feed_data("a", 1)
    error = LookupError("broken")
    queue.set_exception(error)
    assert queue.exception() is error
    assert await queue.read() == "a"
    with pytest.raises(LookupError):
        await queue.read()
    with pytest.raises(LookupError):
        _ = [item async for item in queue]


async def test_a_reader_that_is_cancelled_leaves_nothing(queue: plait.DataQueue[str]) -> None:
    reader = asyncio.create_task(queue.read())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    queue.feed_data("a", 1)
    assert await queue.read() == "a"


async def test_a_full_queue_pauses_its_protocol() -> None:
    protocol = Protocol()
    queue: plait.FlowControlDataQueue[bytes] = plait.FlowControlDataQueue(
        protocol, 2, loop=asyncio.get_running_loop()
    )
    for _ in range(6):
        queue.feed_data(b"x", 1)
    assert protocol.calls == ["pause"]
    for _ in range(4):
        await queue.read()
    assert protocol.calls == ["pause"]
    await queue.read()
    assert protocol.calls == ["pause", "resume"]
    assert len(queue) == 1


async def test_a_queue_without_room_resumes_when_it_is_empty() -> None:
    protocol = Protocol()
    queue: plait.FlowControlDataQueue[bytes] = plait.FlowControlDataQueue(
        protocol, 0, loop=asyncio.get_running_loop()
    )
    for _ in range(2):
        queue.feed_data(b"xx", 2)
    await queue.read()
    assert protocol.calls == ["pause"]
    await queue.read()
    assert protocol.calls == ["pause", "resume"]
