"""Programs in a Python of their own, with plait in aiohttp's place or without."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("engine", "adapters")),
}
INSTALL = "import plait\nplait.install_as_aiohttp()\n"


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=_ENVIRONMENT,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def check(program: str, *options: str) -> None:
    """Run a program that asserts what should hold."""
    result = run(*options, "-c", textwrap.dedent(program))
    assert (result.returncode, result.stderr) == (0, "")


def aliased(program: str, *options: str) -> None:
    """Run a program that asserts what should hold with plait in aiohttp's place."""
    check(INSTALL + textwrap.dedent(program), *options)
