"""Servers of the benchmark for its tests, started as the benchmark starts them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.nginx import Nginx
from benchmarks.processes import free_port
from benchmarks.subjects import Workplace, web_server
from tests.conftest import Authority
from tests.interop.conftest import require

_ROOT = Path(__file__).parents[2]

Serve = Callable[..., int]


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Workplace]:
    """Where children find plait without its being installed; they end with the module."""
    path = os.pathsep.join(str(folder) for folder in (_ROOT, _ROOT / "engine", _ROOT / "adapters"))

    def no_nginx() -> NoReturn:
        raise AssertionError("nobody asks for nginx")

    files = authority.ca_file, authority.certificate_file, authority.key_file
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PYTHONPATH", path)
        yield Workplace(tmp_path_factory.mktemp("bench"), stack, no_nginx, *files)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Nginx]:
    """What the clients of the benchmark talk to."""
    require("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    with Nginx(folder, authority.certificate_file, authority.key_file) as running:
        yield running


@pytest.fixture(scope="module")
def serve(workplace: Workplace) -> Serve:
    """Takes the arguments of ``web_server``; returns the port of such a server."""

    @cache
    def start(library: str, app: str = "pages", **options: bool) -> int:
        port = free_port()
        child = workplace.start(web_server(library, app, **options)(workplace, port))
        child.wait_for_port(port)
        return port

    return start
