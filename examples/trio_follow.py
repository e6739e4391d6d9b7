"""Follow server-sent events on trio: ``python examples/trio_follow.py URL``.

plait_trio has no API for them, and needs none: how events are written, and when a source is asked
again, are machines of the engine, without I/O.
"""

from __future__ import annotations

import sys

import trio

from plait_engine import headers
from plait_engine.policy.event_source import EventSource, Verdict
from plait_trio import ConnectError, Session, StreamError


async def read_response(session: Session, source: EventSource, url: str) -> Verdict:
    """Print the events of one response."""
    async with session.stream("GET", url, headers=source.request_fields()) as response:
        content_type = headers.get(response.headers, "content-type") or ""
        verdict = source.on_response(response.status, content_type.partition(";")[0].strip())
        if verdict is Verdict.EVENTS:
            try:
                async for data in response.stream():
                    source.receive_data(data)
                    while (event := source.next_event()) is not None:
                        print(f"{event.event}: {event.data}", flush=True)
            except StreamError as error:
                print(error, file=sys.stderr)
    return verdict


async def main(url: str) -> None:
    source = EventSource()
    verdict = Verdict.EVENTS
    async with Session() as session:
        while verdict is Verdict.EVENTS:
            try:
                verdict = await read_response(session, source, url)
                pause: float | None = source.on_disconnect()
            except (ConnectError, StreamError) as error:
                print(error, file=sys.stderr)
                pause = source.on_failure()
            if pause is None:
                return
            if verdict is Verdict.EVENTS:
                await trio.sleep(pause)
    print(verdict.value, file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    trio.run(main, sys.argv[1])
