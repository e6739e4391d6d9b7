"""The command line of the demo: ``make demo``, ``make demo ARGS=--once``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trustme
from rich.console import Console

import plait
from examples.demo.report import progress_display, results_table
from examples.demo.workload import STEPS, Origin, Outcome


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="plait over every protocol.")
    parser.add_argument("--once", action="store_true", help="end after the table; no page")
    parser.add_argument("--port", type=int, default=0, help="of the page; default: a free one")
    parser.add_argument("--tls-port", type=int, default=0, help="the same over TLS")
    return parser.parse_args(arguments)


@asynccontextmanager
async def running_server(port: int, tls_port: int) -> AsyncIterator[tuple[Process, Origin]]:
    """Run the server in a process of its own, with a throw-away certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    with (
        certificate.private_key_and_cert_chain_pem.tempfile() as pem,
        tempfile.TemporaryFile() as errors,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.demo.server", pem, pem, str(port), str(tls_port)),
            cwd=Path(__file__).parents[2],
            stdout=PIPE,
            stderr=errors,
        )
        try:
            assert process.stdout is not None
            line = await process.stdout.readline()
            if not line:
                # Else terminate() below finds it ended before asyncio does, which says so.
                await process.wait()
                errors.seek(0)
                raise SystemExit(f"the server did not start: {errors.read().decode().strip()}")
            ports = json.loads(line)
            context = ssl.create_default_context()
            authority.configure_trust(context)
            yield (
                process,
                Origin(
                    f"http://127.0.0.1:{ports['port']}",
                    f"https://localhost:{ports['tls_port']}",
                    context,
                ),
            )
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _counts(origin: Origin) -> dict[str, Any]:  # Any: what JSON may hold.
    """Ask the server what it saw of each step."""
    async with plait.request("GET", f"{origin.url}/counts") as response:
        counts: dict[str, Any] = await response.json()
        return counts


async def _work(console: Console, origin: Origin) -> None:
    outcomes: dict[str, Outcome] = {}
    with progress_display(console) as progress:
        for step in STEPS:
            task = progress.add_task(f"{step.protocol}: {step.title}", total=step.amount)
            outcomes[step.name] = await step.measure(origin, partial(progress.advance, task))
            if not console.is_terminal:  # Where no bar can move, each step says when it is done.
                console.print(f"{step.protocol}: {step.title}: done")
    console.print(results_table(STEPS, outcomes, await _counts(origin)))


async def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo."""
    options = _parse(arguments)
    console = Console()
    async with running_server(options.port, options.tls_port) as (process, origin):
        await _work(console, origin)
        if options.once:
            return
        console.print(
            f"\nNow open [bold]{origin.tls_url}/[/] (your browser does not know the"
            f" certificate, say yes)\nor [bold]{origin.url}/[/] in cleartext."
            "  Ctrl-C ends the demo."
        )
        await process.wait()


def _run() -> None:
    """Run the demo until it is over or told to stop, which both signals do in the same way."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


if __name__ == "__main__":
    _run()
