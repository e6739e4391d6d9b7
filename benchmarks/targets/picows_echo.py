"""An echo server on picows: ``python -m benchmarks.targets.picows_echo PORT``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import picows


class _Echo(picows.WSListener):
    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            transport.send(picows.WSMsgType.BINARY, frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def main(port: int) -> None:
    """Serve until a signal comes."""
    server = await picows.ws_create_server(lambda request: _Echo(), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
