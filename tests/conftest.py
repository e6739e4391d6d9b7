"""What every test shares: settings of hypothesis, the order, and a certificate authority."""

from __future__ import annotations

import gc
import os
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent

# A shared machine stalls at any time, so no example has a deadline.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples in each run of CI: a failure there can be repeated here.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
# Many more examples, for the differential tests above all: --hypothesis-profile=thorough.
settings.register_profile("thorough", settings.get_profile("default"), max_examples=4000)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector away from the tests themselves.

    The millions of objects of the collected tests live until the end.  A test that collects
    garbage would walk through all of them, for most of a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


SLOW = (HERE / "typed", HERE / "simulation", HERE / "ecosystem")
"""Where few tests take long."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what takes long first, so that no process works alone at the end."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in SLOW))


@dataclass(frozen=True)
class Authority:
    """A throw-away certificate authority and one server certificate, for local names."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    def server_context(self, *protocols: str) -> ssl.SSLContext:
        """Return a server's context that offers ``protocols`` by ALPN, the best first."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate_file, self.key_file)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def client_context(self, *protocols: str) -> ssl.SSLContext:
        """Return a client's context that trusts the authority."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certificate authority of this run, for localhost, 127.0.0.1 and ::1."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost", "127.0.0.1", "::1")
    made = Authority(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca.cert_pem.write_to_path(str(made.ca_file))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(made.certificate_file), append=True)
    certificate.private_key_pem.write_to_path(str(made.key_file))
    return made


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Where tests marked ``anyio`` run, unless their folder says otherwise."""
    return "asyncio"
