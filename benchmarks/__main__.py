"""The command line of the benchmarks: ``make bench ARGS="--only h2-server --rounds 5"``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from .loads.commands import LoadFailed
from .processes import MissingProgram
from .profiler import Profiler
from .report import as_json, print_hotspots, print_results
from .rounds import Bench, Result
from .scenarios import SCENARIOS, Scenario

_LIBRARIES = ("plait", "aiohttp", "granian", "hypercorn")


def _parse() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="CPU time per operation of plait beside its peers, in turn.",
        epilog=f"scenarios: {', '.join(names)}",
    )
    parser.add_argument(
        "--only", action="append", choices=names, metavar="SCENARIO", help="may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of work in a round; default: %(default)s"
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
    return parser.parse_args()


def _with_itself(scenario: Scenario) -> Scenario:
    name, start = list(scenario.contenders.items())[1]
    return dataclasses.replace(scenario, contenders={f"{name} again": start, name: start}, asked={})


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
    console = Console()
    scenarios = [s for s in SCENARIOS if not options.only or s.name in options.only]
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
