"""Rounds: the contenders of a scenario take turns, and the medians are compared.

A peer is started several times, and its fastest process is the one that plait is compared
with: aiohttp has two speeds, by how malloc happens to serve its reads of 256 KiB.  plait is
started once, so that its luck is nobody's choice.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import trustme

from .nginx import Nginx
from .profiler import Profiler
from .scenarios import Scenario
from .subjects import Start, Subject, Workplace


@dataclass(frozen=True)
class Result:
    """The figures of a scenario: for each contender one a round, plait's first."""

    scenario: Scenario
    figures: Mapping[str, list[float]]

    @property
    def subject(self) -> str:
        """The contender that the others are compared with."""
        return next(iter(self.figures))

    def median(self, contender: str) -> float:
        return statistics.median(self.figures[contender])

    def ratios(self, contender: str) -> list[float]:
        """Return plait's figure divided by the contender's, of each round."""
        pairs = zip(self.figures[self.subject], self.figures[contender], strict=True)
        return [ours / theirs for ours, theirs in pairs]

    def ratio(self, contender: str) -> float:
        """Return the median of ``ratios``."""
        return statistics.median(self.ratios(contender))

    def met(self, contender: str) -> bool | None:
        """Tell whether the ratio is as asked; None when nothing is asked."""
        asked = self.scenario.asked.get(contender)
        return None if asked is None else self.ratio(contender) <= asked

    def height(self, contender: str, results: Sequence[Result]) -> float | None:
        """Return how many times the figure of its hello it takes, by the medians.

        None where this scenario has no hello, or the hello was not measured.
        """
        for hello in results:
            if hello.scenario.name == self.scenario.hello and contender in hello.figures:
                return self.median(contender) / hello.median(contender)
        return None


class Bench:
    """Runs scenarios; holds what they share (nginx, certificates) until it is closed.

    Args:
        rounds: how many, at least 1.
        seconds: for how long a contender works in a round.
        profiler: looks into plait's process in one more round; ``None``: nobody does.
        progress: is told in words what is going on.
    """

    def __init__(
        self,
        *,
        rounds: int,
        seconds: float,
        profiler: Profiler | None,
        progress: Callable[[str], None],
    ) -> None:
        self.rounds = rounds
        self.seconds = seconds
        self.profiler = profiler
        self.progress = progress
        self._stack = ExitStack()
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="plait-bench-"))
        )
        authority = trustme.CA()
        self._ca_file = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self._ca_file))
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        self._certificate = self._folder / "server.pem"
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(str(self._certificate), append=True)
        self._key = self._folder / "server.key"
        certificate.private_key_pem.write_to_path(str(self._key))
        self._nginx: Nginx | None = None

    def run(self, scenario: Scenario) -> Result:
        """Run one scenario.  Raises MissingProgram, LoadFailed, or RuntimeError."""
        with ExitStack() as stack:
            folder = self._folder / scenario.name
            folder.mkdir()
            workplace = Workplace(
                folder, stack, self._start_nginx, self._ca_file, self._certificate, self._key
            )
            subjects: dict[str, Subject] = {}
            for name, start in scenario.contenders.items():
                starts = scenario.starts if subjects else 1
                subjects[name] = self._fastest(workplace, name, start, starts)
            figures: dict[str, list[float]] = {name: [] for name in subjects}
            for number in range(1, self.rounds + 1):
                turns = list(subjects.items())
                # Who went first goes last, so that what changes slowly favours nobody.
                for name, subject in turns if number % 2 else reversed(turns):
                    self.progress(f"round {number} of {self.rounds}: {name}")
                    figures[name].append(subject.measure(self.seconds) / scenario.scale)
            name, subject = next(iter(subjects.items()))
            if self.profiler and subject.pid is not None:
                self.progress(f"profiling {name}")
                with self.profiler.record(subject.pid, scenario.name):
                    subject.measure(max(self.seconds, 5.0))
            return Result(scenario, figures)

    def _fastest(self, workplace: Workplace, name: str, start: Start, starts: int) -> Subject:
        """Start a contender several times; return its fastest subject and end the others."""
        if starts == 1:
            return start(workplace, self.seconds / 2)
        figures: dict[Subject, float] = {}
        stacks: dict[Subject, ExitStack] = {}
        for number in range(1, starts + 1):
            self.progress(f"start {number} of {starts}: {name}")
            stack = workplace.stack.enter_context(ExitStack())
            subject = start(replace(workplace, stack=stack), self.seconds / 2)
            figures[subject] = subject.measure(self.seconds / 2)
            stacks[subject] = stack
        fastest = min(figures, key=figures.__getitem__)
        for subject, stack in stacks.items():
            if subject is not fastest:
                stack.close()
        return fastest

    def _start_nginx(self) -> Nginx:
        if self._nginx is None:
            folder = self._folder / "nginx"
            folder.mkdir()
            self._nginx = self._stack.enter_context(Nginx(folder, self._certificate, self._key))
        return self._nginx

    def close(self) -> None:
        """End what is still running and remove the files."""
        self._stack.close()
