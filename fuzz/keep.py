"""Choose from what a fuzzer has collected the few inputs that belong into the corpus.

The fuzzer collects by counters, which makes thousands of files.  Here an input is kept only
if it takes a step from one line of the engine to another that no input before it has taken;
the shortest are tried first.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeAlias

import plait_engine

ENGINE = str(Path(plait_engine.__file__).parent)

Step: TypeAlias = tuple[CodeType, int, int]
"""From one line of a function to the next."""


def keep(target: str, corpus: Path, collected: Path) -> int:
    """Copy into ``corpus`` what is worth it of ``collected``; return how many files."""
    run = importlib.import_module(f"fuzz.targets.{target}").run
    taken: set[Step] = set()
    for path in corpus.iterdir():
        taken |= steps_of(run, path.read_bytes())
    count = 0
    for path in sorted(collected.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        data = path.read_bytes()
        try:
            steps = steps_of(run, data)
        except Exception as error:
            print(f"{path}: {error!r}")
            continue
        if not steps <= taken:
            taken |= steps
            count += 1
            (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()[:16]).write_bytes(data)
    return count


def steps_of(run: Callable[[bytes], None], data: bytes) -> set[Step]:
    """Run one input; return the steps that it takes within the engine."""
    steps: set[Step] = set()

    def trace_call(frame: FrameType, event: str, argument: Any) -> Any:  # Any: sys.settrace's
        if not frame.f_code.co_filename.startswith(ENGINE):
            return None
        code, before = frame.f_code, 0

        def trace_line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal before
            if event == "line":
                steps.add((code, before, frame.f_lineno))
                before = frame.f_lineno
            return trace_line

        return trace_line

    sys.settrace(trace_call)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return steps
