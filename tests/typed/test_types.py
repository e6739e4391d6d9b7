"""What type checkers say to a user of plait, in a project of its own where plait is installed.

aiohttp is the oracle: what its types accept is accepted (``accepted.py``), and what they refuse
is refused (``refused.py``), with plait in its place.  So are all programs in ``examples/``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent

Findings = dict[str, dict[int, str]]
"""What a checker refuses: by file and line."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment in which plait is installed, and what it needs."""
    environment = tmp_path_factory.mktemp("types") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    installed = [ROOT / "engine", ROOT / "adapters", sysconfig.get_paths()["purelib"]]
    (packages / "installed.pth").write_text("\n".join(map(str, installed)))
    return environment / "bin" / "python"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types") / "project"
    shutil.copytree(ROOT / "examples", folder / "examples")
    for name in ("accepted.py", "refused.py"):
        text = (HERE / name).read_text()
        (folder / f"aiohttp_{name}").write_text(text)
        (folder / f"plait_{name}").write_text(re.sub(r"\baiohttp\b", "plait", text))
    return folder


def judge(findings: Findings) -> None:
    """Hold what a checker found to what it has to find."""
    lines = (HERE / "refused.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# refused" in line}
    by_plait = {number for number, line in enumerate(lines, 1) if "# refused by plait" in line}
    assert len(wrong) > 40
    assert {number: lines[number - 1] for number in wrong - set(findings["plait_refused.py"])} == {}
    assert wrong - by_plait <= set(findings["aiohttp_refused.py"])
    for name in ("plait_refused.py", "aiohttp_refused.py"):
        found = findings.pop(name)
        assert {line: text for line, text in found.items() if line not in wrong} == {}
    assert findings == {}


def test_mypy(python: Path, project: Path) -> None:
    cache = project.parent / "cache"
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases"]
    command += ["--python-executable", str(python), "--cache-dir", str(cache), "."]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    findings: Findings = {}
    for name, line, text in re.findall(r"^(\S+?):(\d+): error: (.*)", run.stdout, re.M):
        findings.setdefault(name, {})[int(line)] = text
    assert findings, run.stdout + run.stderr
    judge(findings)


def test_pyright(python: Path, project: Path) -> None:
    pytest.importorskip("pyright")
    pyright = [sys.executable, "-m", "pyright"]
    quiet = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    first = subprocess.run(
        [*pyright, "--version"], capture_output=True, text=True, check=False, env=quiet
    )
    if first.returncode:  # The package is a small one that fetches pyright itself.
        pytest.skip(f"pyright cannot be fetched: {first.stderr[-200:]}")
    command = [*pyright, "--outputjson", "--pythonpath", str(python), "."]
    run = subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, env=quiet
    )
    findings: Findings = {}
    for found in json.loads(run.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            name = str(Path(found["file"]).relative_to(project.resolve()))
            line = found["range"]["start"]["line"] + 1
            findings.setdefault(name, {})[line] = found["message"]
    judge(findings)
