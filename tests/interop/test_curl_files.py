"""curl and plait's static files: resumed downloads, ranges, copies that are still good."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import plait
from plait import web
from tests.conftest import Authority
from tests.interop.app import payload
from tests.interop.conftest import Curl, Server
from tests.interop.test_curl import WAYS, Way
from tests.serving import ServerThread

CONTENT = payload(3_000_000)
TEXT = b"Hello, files! " * 1000


@dataclass(frozen=True)
class Files:
    """A server of static files."""

    server: Server
    folder: Path

    def url(self, name: str, way: Way) -> str:
        return self.server.url(f"/{name}", tls=way.tls)


@pytest.fixture(scope="module", params=["native", "reference"])
def files(
    request: pytest.FixtureRequest,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Files]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "large.bin").write_bytes(CONTENT)
    (folder / "text.txt").write_bytes(TEXT)
    (folder / "text.txt.gz").write_bytes(gzip.compress(TEXT))
    app = web.Application()
    app.router.add_static("/", folder)
    context = authority.server_context("h2", "http/1.1")
    with ServerThread(plait, app, context, engine=request.param) as thread:
        yield Files(Server(request.param, thread.port, thread.tls_port, []), folder)


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def test_a_download(curl: Curl, files: Files, way: Way, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    curl(way.option, "--output", str(copy), files.url("large.bin", way))
    assert copy.read_bytes() == CONTENT


@pytest.mark.parametrize("there", [0, 1, 1_234_567, len(CONTENT) - 1])
def test_a_download_is_resumed(
    curl: Curl, files: Files, way: Way, tmp_path: Path, there: int
) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(CONTENT[:there])
    result = curl(
        *(way.option, "--continue-at", "-", "--output", str(copy)),
        *("--write-out", "%{http_code} %{size_download}", files.url("large.bin", way)),
    )
    status = 206 if there else 200
    assert result.stdout == f"{status} {len(CONTENT) - there}"
    assert copy.read_bytes() == CONTENT


def test_a_download_that_is_complete(curl: Curl, files: Files, way: Way, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(CONTENT)
    result = curl(
        *(way.option, "--continue-at", "-", "--output", str(copy)),
        *("--write-out", "%{http_code}", files.url("large.bin", way)),
    )
    assert result.stdout == "416"  # curl takes that for success: there is nothing left.
    assert copy.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("0-0", CONTENT[:1]),
        ("100-199", CONTENT[100:200]),
        ("-5", CONTENT[-5:]),
        ("2999999-", CONTENT[-1:]),
        ("0-1,5-6", CONTENT),  # Several are ignored.
    ],
)
def test_ranges(
    curl: Curl, files: Files, way: Way, tmp_path: Path, field: str, part: bytes
) -> None:
    copy = tmp_path / "copy"
    curl(way.option, "--range", field, "--output", str(copy), files.url("large.bin", way))
    assert copy.read_bytes() == part


def test_a_copy_that_is_good_is_not_sent_again(
    curl: Curl, files: Files, way: Way, tmp_path: Path
) -> None:
    copy, tag = tmp_path / "copy", tmp_path / "tag"
    url = files.url("text.txt", way)
    curl(way.option, "--etag-save", str(tag), "--output", str(copy), url)
    assert copy.read_bytes() == TEXT
    result = curl(
        *(way.option, "--etag-compare", str(tag), "--output", str(tmp_path / "again")),
        *("--write-out", "%{http_code} %{size_download}", url),
    )
    assert result.stdout == "304 0"
    result = curl(
        *(way.option, "--time-cond", str(files.folder / "text.txt"), "--write-out"),
        *("%{http_code} %{size_download}", url),
    )
    assert result.stdout == "304 0"


def test_a_sibling_is_decoded(curl: Curl, files: Files, way: Way, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    result = curl(
        *(way.option, "--header", "Accept-Encoding: gzip", "--compressed", "--output", str(copy)),
        *("--write-out", "%{size_download}", files.url("text.txt", way)),
    )
    assert int(result.stdout) < len(TEXT) // 10
    assert copy.read_bytes() == TEXT


def test_a_slow_download(curl: Curl, files: Files, way: Way, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    curl(way.option, "--limit-rate", "4M", "--output", str(copy), files.url("large.bin", way))
    assert copy.read_bytes() == CONTENT


def test_a_path_that_goes_up(curl: Curl, files: Files, way: Way) -> None:
    result = curl(
        *(way.option, "--path-as-is", "--write-out", "%{http_code}"),
        files.url("../../../../../etc/passwd", way),
    )
    assert result.stdout == "404: Not Found404"
