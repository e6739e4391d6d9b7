"""A user's test file, run by pytest as its author runs it."""

from __future__ import annotations

from pathlib import Path

from tests.guide.conftest import SAMPLES, RunSuite

FILE = SAMPLES / "users_tests.py"


def test_a_users_tests(run_suite: RunSuite) -> None:
    assert run_suite(FILE, "-p", "plait.pytest_plugin") == {"passed": 12}


def test_they_run_under_aiohttps_name(run_suite: RunSuite, tmp_path: Path) -> None:
    source = FILE.read_text()
    assert source.count("from plait") == 2
    file = tmp_path / "test_app.py"
    file.write_text(source.replace("from plait", "from aiohttp"))
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["aiohttp.pytest_plugin"]\n')
    assert run_suite(file, "-p", "plait.as_aiohttp.pytest") == {"passed": 12}
