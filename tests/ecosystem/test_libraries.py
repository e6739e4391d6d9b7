"""Libraries of aiohttp's users, unchanged, on plait under aiohttp's name.

For each there is a program in ``programs/`` that does what the library is for.  It runs on plait, over
HTTP/1.1 and HTTP/2, and on aiohttp itself, so that what it expects is what aiohttp's users see.

The libraries have an environment of their own (``make test`` makes it): beside these tests their
pytest plugins would be loaded here.  Without it the tests fail in CI, and are skipped elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PYTHON = Path(sys.prefix, "ecosystem", "bin", "python")
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*_*.py"))


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    if not PYTHON.exists():
        message = f"{PYTHON} is not there (make test makes it)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def run(*arguments: str, cwd: Path, plait: bool) -> str:
    """Run Python to its end and return what it printed."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("engine", "adapters"))
    options = ("-m", "plait.as_aiohttp") if plait else ()
    result = subprocess.run(
        [str(PYTHON), *options, *arguments],
        env={**os.environ, "PYTHONPATH": path if plait else "", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_on_plait(name: str) -> None:
    output = run(f"{name}.py", "1.1", "2", cwd=HERE / "programs", plait=True)
    assert output == "1.1: checked\n2: checked\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_on_aiohttp(name: str) -> None:
    assert run(f"{name}.py", cwd=HERE / "programs", plait=False) == "any: checked\n"


def test_a_suite_of_pytest_aiohttp_on_plait() -> None:
    assert "7 passed" in run("pytest", "-q", cwd=HERE / "suite", plait=True)


def test_the_suite_on_aiohttp() -> None:
    assert "7 passed" in run("-m", "pytest", "-q", cwd=HERE / "suite", plait=False)
