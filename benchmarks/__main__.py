"""The command line of the benchmarks: ``make bench ARGS="--only h2-varied --rounds 9"``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import signal
import sys
from contextlib import closing
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from .loads import LoadFailed
from .processes import MissingProgram
from .profiler import Profiler
from .report import as_json, print_hotspots, print_names, print_results
from .rounds import Bench, Result
from .scenarios import SCENARIOS, Scenario

_LIBRARIES = (
    *("plait", "aiohttp", "granian", "httpx", "hypercorn"),
    *("picows", "pyreqwest", "websockets"),
)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="CPU time per operation of plait beside its peers, in turn.",
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument(
        "--only",
        action="append",
        metavar="SCENARIO",
        help="a name or a pattern, as 'h2-*'; may be repeated",
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of work in a round; default: %(default)s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--profile",
        nargs="?",
        type=Path,
        const=Path("benchmarks/profiles"),
        metavar="FOLDER",
        help="let py-spy look into plait's process, one more round; default: %(const)s",
    )
    parser.add_argument(
        "--same",
        action="store_true",
        help="let the first peer run against itself: how far from 1.00 is noise?",
    )
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    for pattern in options.only or ():
        if not any(fnmatchcase(scenario.name, pattern) for scenario in SCENARIOS):
            parser.error(f"no scenario is called {pattern!r}: see --list")
    return options


def _chosen(only: list[str] | None) -> list[Scenario]:
    return [
        scenario
        for scenario in SCENARIOS
        if only is None or any(fnmatchcase(scenario.name, pattern) for pattern in only)
    ]


def _with_itself(scenario: Scenario) -> Scenario:
    name, start = list(scenario.contenders.items())[1]
    contenders = {f"{name} again": start, name: start}
    return dataclasses.replace(scenario, contenders=contenders, asked={}, starts=1)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "cores": str(os.cpu_count())}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "not installed"
    return versions


def main() -> int:
    """Run what was asked for; return 1 when a scenario could not be run."""
    options = _parse()
    # End the children, too, which have sessions of their own.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console()
    scenarios = _chosen(options.only)
    if options.list:
        print_names(console, scenarios)
        return 0
    if options.same:
        scenarios = [_with_itself(scenario) for scenario in scenarios]
    profiler = Profiler(options.profile) if options.profile else None
    results: list[Result] = []
    failures: dict[str, str] = {}
    with console.status("starting") as status:
        label = ""
        bench = Bench(
            rounds=options.rounds,
            seconds=options.seconds,
            profiler=profiler,
            progress=lambda text: status.update(f"{label}: {text}"),
        )
        with closing(bench):
            for index, scenario in enumerate(scenarios, 1):
                label = f"{index} of {len(scenarios)}, {scenario.name}"
                try:
                    results.append(bench.run(scenario))
                    console.print(f"{scenario.name} done")
                except (MissingProgram, LoadFailed, RuntimeError, OSError) as error:
                    failures[scenario.name] = str(error)
                    console.print(f"[red]{scenario.name} failed")
    versions = _versions()
    print_results(console, results, failures, versions)
    if profiler:
        print_hotspots(console, profiler)
    if options.json:
        options.json.write_text(json.dumps(as_json(results, failures, versions), indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
