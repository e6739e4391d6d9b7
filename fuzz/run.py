"""What ``make fuzz`` runs: every target in turn, with visible progress.

Each target runs for ``--time`` seconds in a process of its own, from the corpus in
``fuzz/corpus/TARGET``.  Inputs that reach new code are kept in ``build/fuzz/TARGET``, so
that the next run goes on from there; ``--keep`` moves the few of them that matter into the
corpus.  An input that breaks an invariant, takes too long or too much memory is kept in
``fuzz/findings/TARGET``, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
FINDINGS = ROOT / "fuzz" / "findings"
DICTIONARIES = ROOT / "fuzz" / "dictionaries"
WORK = ROOT / "build" / "fuzz"

MAX_INPUT = 4096
TIMEOUT = 10
"""Seconds after which an input counts as one that never ends."""
MEMORY = 1024
"""MiB; an input that takes more is a finding."""
REPORT_EVERY = 5.0

CHATTER = ("INFO:", "WARNING:")
STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/\S+ .*?exec/s: (\d+)")


@dataclass(slots=True)
class Outcome:
    """How far a target came."""

    target: str
    executions: int = 0
    coverage: int = 0
    corpus: int = 0
    findings: tuple[Path, ...] = ()
    failed: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=" ".join(TARGETS))
    parser.add_argument("--time", type=int, default=30, help="seconds for each target")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what was found")
    options = parser.parse_args(arguments)
    if options.time < 1:
        parser.error("--time is at least 1 second")
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {' '.join(sorted(unknown))}")
    targets = options.targets or list(TARGETS)
    if options.keep:
        from fuzz.keep import keep  # imports the engine, which the fuzzing itself leaves to workers

        for target in targets:
            count = keep(target, CORPUS / target, WORK / target)
            print(f"{target:19} {count} inputs added to the corpus")
        return 0
    print(f"{len(targets)} targets, {options.time} seconds each")
    outcomes: list[Outcome] = []
    try:
        for target in targets:
            outcome = Outcome(target)
            outcomes.append(outcome)
            fuzz(outcome, options.time)
    except KeyboardInterrupt:
        print("stopped")
    report(outcomes)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def fuzz(outcome: Outcome, seconds: int) -> None:
    """Fuzz one target, print how it goes and keep it in ``outcome``."""
    target = outcome.target
    findings = FINDINGS / target
    work = WORK / target
    for folder in (findings, work):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    process = start_worker(
        target,
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={TIMEOUT}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={findings}/",
        *dictionary_option(target),
        str(work),
        str(CORPUS / target),
    )
    tail: deque[str] = deque(maxlen=40)
    try:
        for line in follow(process, outcome):
            tail.append(line)
    finally:
        process.terminate()
        process.wait()
    outcome.findings = tuple(sorted(set(findings.iterdir()) - before))
    outcome.failed = process.returncode != 0
    if outcome.failed:
        print("".join(tail))


def start_worker(target: str, *options: str) -> subprocess.Popen[str]:
    """Start libFuzzer on ``target``; its words come on one pipe."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "engine")])
    return subprocess.Popen(
        [sys.executable, "-m", "fuzz.worker", target, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def dictionary_option(target: str) -> list[str]:
    """Return the option for the dictionary of the target's protocol, if there is one."""
    path = DICTIONARIES / f"{target.split('_')[0]}.dict"
    return [f"-dict={path}"] if path.exists() else []


def follow(process: subprocess.Popen[str], outcome: Outcome) -> Iterator[str]:
    """Yield what libFuzzer says, update ``outcome`` by it and print a line now and then."""
    assert process.stdout is not None
    next_report = time.monotonic() + REPORT_EVERY
    for line in process.stdout:
        match = STATUS.match(line)
        if match is None:
            if not line.startswith(CHATTER):
                yield line
            continue
        executions, outcome.coverage, outcome.corpus, speed = map(int, match.groups())
        outcome.executions = executions
        if time.monotonic() >= next_report:
            next_report = time.monotonic() + REPORT_EVERY
            print(
                f"{outcome.target:19} {executions:>9} runs  {speed:>6}/s  "
                f"coverage {outcome.coverage:>5}  corpus {outcome.corpus:>5}",
                flush=True,
            )
    process.wait()


def report(outcomes: list[Outcome]) -> None:
    """Print a table of what was done and found."""
    print(f"\n{'target':19} {'runs':>9} {'coverage':>9} {'corpus':>7}  findings")
    for outcome in outcomes:
        found = ", ".join(str(path.relative_to(ROOT)) for path in outcome.findings)
        if outcome.failed and not found:
            found = "did not run; see above"
        print(
            f"{outcome.target:19} {outcome.executions:>9} {outcome.coverage:>9} "
            f"{outcome.corpus:>7}  {found or 'none'}"
        )


if __name__ == "__main__":
    sys.exit(main())
