"""A user's test file, run by pytest as its author runs it."""

from __future__ import annotations

from tests.guide.conftest import SAMPLES, RunSuite


def test_a_users_tests(run_suite: RunSuite) -> None:
    file = SAMPLES / "users_tests.py"
    assert run_suite(file, "-p", "plait.pytest_plugin") == {"passed": 12}
