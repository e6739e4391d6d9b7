"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .profiler import Profiler
from .rounds import Result

_VERDICTS = {True: "[green]met", False: "[red]missed", None: ""}


def print_results(
    console: Console,
    results: Sequence[Result],
    failures: Mapping[str, str],
    versions: Mapping[str, str],
) -> None:
    """Print one table of all scenarios, and why a scenario is not in it."""
    table = Table(title="CPU time (user and system) of the process under test, per operation")
    table.add_column("scenario")
    table.add_column("contender")
    table.add_column("median", justify="right")
    table.add_column("best", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("asked", justify="right")
    table.add_column("")
    for result in results:
        scenario = result.scenario
        for contender, figures in result.figures.items():
            first = contender == result.subject
            asked = scenario.asked.get(contender)
            table.add_row(
                f"[bold]{scenario.name}" if first else "",
                contender,
                f"{result.median(contender):,.1f} {scenario.unit}",
                f"{min(figures):,.1f}",
                "" if first else f"{result.ratio(contender):.2f}",
                "" if asked is None else f"{asked:.2f}",
                _VERDICTS[result.met(contender)],
            )
        table.add_section()
    console.print(table)
    for result in results:
        console.print(f"[bold]{result.scenario.name}[/]: {escape(result.scenario.title)}")
    console.print(
        "ratio: the median over the rounds of the first contender's figure divided by the "
        "other's.  " + ", ".join(f"{name} {number}" for name, number in versions.items())
    )
    for name, reason in failures.items():
        console.print(f"[red]{name} was not measured:[/] {escape(reason)}")


def print_hotspots(console: Console, profiler: Profiler, top: int = 25) -> None:
    """Print the hottest functions of each profile."""
    for name, hotspots in profiler.hotspots.items():
        table = Table(title=f"{name}: {profiler.folder / name}.txt")
        table.add_column("function")
        table.add_column("itself", justify="right")
        table.add_column("with callees", justify="right")
        for hotspot in hotspots[:top]:
            table.add_row(
                escape(hotspot.function),
                f"{hotspot.itself:.1%}",
                f"{hotspot.with_callees:.1%}",
            )
        console.print(table)


def as_json(
    results: Sequence[Result], failures: Mapping[str, str], versions: Mapping[str, str]
) -> dict[str, Any]:  # Any: whatever JSON can hold.
    """Return everything that was measured."""
    return {
        "versions": dict(versions),
        "failures": dict(failures),
        "scenarios": [
            {
                "name": result.scenario.name,
                "title": result.scenario.title,
                "unit": result.scenario.unit,
                "contenders": {
                    contender: {
                        "figures": figures,
                        "median": result.median(contender),
                        "ratio": result.ratio(contender),
                        "asked": result.scenario.asked.get(contender),
                        "met": result.met(contender),
                    }
                    for contender, figures in result.figures.items()
                },
            }
            for result in results
        ],
    }
