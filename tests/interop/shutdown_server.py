"""A server that is told to stop under load: ``python -m tests.interop.shutdown_server PORT N ENGINE``.

After N answers over each version it sends itself SIGTERM.  At the end it prints how many requests
its handlers answered over each, and how many seconds the shutdown took.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

from plait import web


def main() -> None:
    port, stop_after, engine = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    answered = {1: 0, 2: 0}
    stopped = 0.0

    async def handler(request: web.Request) -> web.Response:
        nonlocal stopped
        await asyncio.sleep(0.02)  # So that many are on their way at the same time.
        answered[request.version.major] += 1
        if min(answered.values()) == stop_after and not stopped:
            stopped = time.monotonic()
            os.kill(os.getpid(), signal.SIGTERM)
        return web.Response(text="answer")

    app = web.Application()
    app.add_routes([web.get("/", handler)])
    web.run_app(
        app,
        host="127.0.0.1",
        port=port,
        print=None,
        access_log=None,
        shutdown_timeout=10.0,
        engine=engine,
    )
    print(json.dumps({"answered": answered, "took": time.monotonic() - stopped}))


if __name__ == "__main__":
    main()
