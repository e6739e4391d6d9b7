"""Where the time goes: py-spy looks into the process under test while it works."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hotspot:
    """A function's share of the samples, between 0 and 1."""

    function: str
    itself: float
    with_callees: float


class Profiler:
    """Writes ``<scenario>.txt`` into ``folder``: collapsed stacks, as flame graph tools
    read them.

    py-spy needs to be root or, with ``kernel.yama.ptrace_scope`` above 0, to be allowed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hotspots: dict[str, list[Hotspot]] = {}
        """By scenario, the hottest function first."""

    @contextmanager
    def record(self, pid: int, name: str) -> Iterator[None]:
        """Sample process ``pid`` during the block.  Raises RuntimeError if py-spy fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        output = self.folder / f"{name}.txt"
        py_spy = Path(sys.executable).with_name("py-spy")
        process = subprocess.Popen(
            [
                *(str(py_spy), "record", "--pid", str(pid), "--rate", "500", "--nonblocking"),
                *("--format", "raw", "--duration", "600", "--output", str(output)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGINT)  # It writes what it has.
            _, errors = process.communicate()
        if process.returncode or not output.exists():
            raise RuntimeError(f"py-spy: {errors}")
        self.hotspots[name] = hotspots(output.read_text())


def hotspots(collapsed: str) -> list[Hotspot]:
    """Return the functions of collapsed stacks, the hottest first."""
    itself: Counter[str] = Counter()
    with_callees: Counter[str] = Counter()
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        functions = [_without_line(frame) for frame in stack.split(";")]
        itself[functions[-1]] += int(count)
        for function in set(functions):
            with_callees[function] += int(count)
    total = itself.total() or 1
    return [
        Hotspot(function, count / total, with_callees[function] / total)
        for function, count in itself.most_common()
    ]


def _without_line(frame: str) -> str:
    """``name (file.py:12)`` without the line: one function is one row."""
    head, colon, line = frame.rpartition(":")
    return f"{head})" if colon and line.rstrip(")").isdigit() else frame
