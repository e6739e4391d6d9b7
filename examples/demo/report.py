"""How the demo shows its progress and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.demo.workload import Outcome, Step


def progress_display(console: Console) -> Progress:
    """Return a display with a bar for each step."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def results_table(
    steps: Sequence[Step],
    outcomes: Mapping[str, Outcome],
    counts: Mapping[str, Mapping[str, Any]],  # Any: what JSON may hold.
) -> Table:
    """Return the table of the results.

    Args:
        steps: the rows, in order.
        outcomes: by step, what the client did.
        counts: by step, over which protocol and how many connections the server saw it come.

    Raises RuntimeError when the server saw another protocol than the row says.
    """
    table = Table(
        title="plait's client at plait's server", box=None, padding=(0, 2, 0, 0), pad_edge=False
    )
    table.add_column("protocol", no_wrap=True)
    table.add_column("what")
    for name in ("requests", "time", "connec-\ntions", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        outcome, seen = outcomes[step.name], counts[step.name]
        if seen["protocols"] != [step.protocol.removeprefix("WebSocket, ")]:
            raise RuntimeError(f"{step.name} came over {seen['protocols']}")
        table.add_row(
            f"{step.protocol}, TLS" if step.tls else step.protocol,
            step.title,
            f"{outcome.requests:,}",
            f"{outcome.seconds:.2f} s",
            f"{seen['connections']:,}",
            f"{outcome.data:,}",
        )
    return table
