"""Libraries of aiohttp's users, unchanged, on plait under aiohttp's name.

For each there is a program in ``programs/`` that does what the library is for, with a server of its
own where the library is a client.  It runs on plait, over HTTP/1.1 and HTTP/2, and on aiohttp itself,
so that what it expects is what aiohttp's users see.
The suites that libraries ship run on plait as they are.

The libraries have an environment of their own (``make test`` makes it): beside these tests their
pytest plugins would be loaded here.  Without it the tests fail in CI, and are skipped elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Authority

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PYTHON = Path(sys.prefix, "ecosystem", "bin", "python")
SOURCES = PYTHON.parents[1] / "suites"
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*_*.py"))
# What the installed aiohttp is too new for.
NOT_ON_AIOHTTP = {"aioresponses_mocks"}


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    if not (SOURCES / "aiohttp-sse" / "tests").exists():  # What is installed last.
        message = f"{PYTHON} and its libraries are not there (make test installs them)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def run(*arguments: str, cwd: Path, plait: bool, **variables: str) -> str:
    """Run Python to its end, with environment ``variables``, and return what it printed."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("engine", "adapters"))
    options = ("-m", "plait.as_aiohttp") if plait else ()
    result = subprocess.run(
        [str(PYTHON), *options, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": path if plait else "",
            **variables,
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_on_plait(name: str, authority: Authority) -> None:
    output = run(
        f"{name}.py",
        "1.1",
        "2",
        cwd=HERE / "programs",
        plait=True,
        SSL_CERT_FILE=str(authority.ca_file),
        SERVER_CERTIFICATE=str(authority.certificate_file),
        SERVER_KEY=str(authority.key_file),
    )
    assert output == "1.1: checked\n2: checked\n"


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in NOT_ON_AIOHTTP])
def test_the_program_on_aiohttp(name: str) -> None:
    assert run(f"{name}.py", cwd=HERE / "programs", plait=False) == "any: checked\n"


def test_a_suite_of_pytest_aiohttp_on_plait() -> None:
    assert "7 passed" in run("pytest", "-q", cwd=HERE / "suite", plait=True)


def test_the_suite_on_aiohttp() -> None:
    assert "7 passed" in run("-m", "pytest", "-q", cwd=HERE / "suite", plait=False)


# Library -> arguments of pytest: what its suite needs to be left out, for it needs more than Python.
SUITES = {
    "aiohttp-cors": ("tests", "--ignore=tests/integration"),  # a browser
    "aiohttp-jinja2": ("tests",),
    "aiohttp-security": ("tests", "--ignore=tests/test_jwt_identity.py"),  # PyJWT
    "aiohttp-session": (  # the fixtures of Redis and Memcached, in containers
        "tests",
        "--noconftest",
        "--ignore=tests/test_memcached_storage.py",
        "--ignore=tests/test_nacl_storage.py",
        "--ignore=tests/test_redis_storage.py",
        # aiohttp's cookie jar writes the host into the cookies of the response.
        "-k",
        "not test_clear_cookie_on_session_invalidation",
    ),
    "aioresponses": ("tests", "-k", "not pass_through"),  # servers elsewhere
    "gql": (
        "tests/test_aiohttp.py",
        "tests/test_aiohttp_multipart.py",
        # Other packages; and whether all was read of a body that is no multipart.
        "-k",
        "not async_generator_upload and not using_cli_ep and not newline_separator",
    ),
    # It waits until a client that has closed its sending side is taken for one that has left.
    "aiohttp-sse": (
        "tests",
        "-k",
        "not test_abort_when_transport_already_gone",
    ),
}


@pytest.mark.parametrize("library", SUITES)
def test_the_suite_of_a_library_on_plait(library: str) -> None:
    own = ("-o", "addopts=", "-o", "filterwarnings=", "-o", "asyncio_mode=auto")
    options = ("-q", "-p", "no:cacheprovider", *own, *SUITES[library])
    run("pytest", *options, cwd=SOURCES / library, plait=True)
