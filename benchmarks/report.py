"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .profiler import Profiler
from .rounds import Result
from .scenarios import Scenario

_VERDICTS = {True: "[green]met", False: "[red]over", None: ""}

_LEGEND = """
[bold]ratio[/]: plait's figure divided by the peer's of the same round, the median of the rounds; \
[bold]from-to[/]: the smallest and the largest.
[bold]cliff[/]: how many times the median of the same contender it takes where all requests are \
the same (h1-hello for h1-varied).
"""


def print_results(
    console: Console,
    results: Sequence[Result],
    failures: Mapping[str, str],
    versions: Mapping[str, str],
) -> None:
    """Print one table of all scenarios, and why a scenario is not in it."""
    table = Table(
        title="CPU time (user and system) of the process under test, per operation",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # It fits into 80 columns.
    )
    table.add_column("scenario", no_wrap=True)
    table.add_column("contender", no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right")
    table.add_column("from-to", justify="right", no_wrap=True)
    table.add_column("asked", justify="right")
    table.add_column("")
    table.add_column("cliff", justify="right", no_wrap=True)
    for result in results:
        scenario = result.scenario
        for contender in result.figures:
            first = contender == result.subject
            ratios = result.ratios(contender)
            asked = scenario.asked.get(contender)
            height = result.height(contender, results)
            table.add_row(
                f"[bold]{scenario.name}" if first else "",
                contender,
                f"{result.median(contender):,.1f} {scenario.unit}",
                "" if first else f"{result.ratio(contender):.2f}",
                "" if first else f"{min(ratios):.2f}-{max(ratios):.2f}",
                "" if asked is None else f"{asked:.2f}",
                _VERDICTS[result.met(contender)],
                "" if height is None else f"{height:.2f}",
            )
        table.add_section()
    console.print(table)
    for result in results:
        console.print(f"[bold]{result.scenario.name}[/]: {escape(result.scenario.title)}")
    console.print(_LEGEND)
    console.print(", ".join(f"{name} {number}" for name, number in versions.items()))
    for name, reason in failures.items():
        console.print(f"[red]{name} was not measured:[/] {escape(reason)}")


def print_names(console: Console, scenarios: Iterable[Scenario]) -> None:
    """Print the name of each scenario and what it measures."""
    table = Table("scenario", "what is measured", "peers")
    for scenario in scenarios:
        peers = list(scenario.contenders)[1:]
        table.add_row(scenario.name, escape(scenario.title), ", ".join(peers))
    console.print(table)


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
                "hello": result.scenario.hello,
                "contenders": {
                    contender: {
                        "figures": figures,
                        "median": result.median(contender),
                        "ratio": result.ratio(contender),
                        "asked": result.scenario.asked.get(contender),
                        "met": result.met(contender),
                        "of_hello": result.height(contender, results),
                    }
                    for contender, figures in result.figures.items()
                },
            }
            for result in results
        ],
    }
