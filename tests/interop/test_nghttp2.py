"""nghttp and h2load, the tools of nghttp2, against plait's server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.app import payload
from tests.interop.conftest import Server, require, run


@pytest.fixture(params=[False, True], ids=["h2c", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    chosen: bool = request.param
    return chosen


def test_get(server: Server, tls: bool) -> None:
    result = run(require("nghttp"), server.url("/version", tls=tls))
    assert result.stdout == "2.0"


def test_many_streams_at_once(server: Server, tls: bool) -> None:
    result = run(
        *(require("nghttp"), "--multiply", "90", "--null-out", "--stat"),
        server.url("/download?size=50000", tls=tls),
    )
    assert len(re.findall(r" 200 +48K ", result.stdout)) == 90, result.stdout
    assert server.connections == 1


def test_small_windows(server: Server, tls: bool) -> None:
    # 2 ** 10 - 1 bytes for the stream and the connection: thousands of WINDOW_UPDATEs.
    result = run(
        *(require("nghttp"), "--window-bits", "10", "--connection-window-bits", "10"),
        server.url("/download?size=300000", tls=tls),
    )
    assert len(result.stdout) == 300000


def test_upload_with_trailers(server: Server, tls: bool, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(payload(1_000_000))
    result = run(
        *(require("nghttp"), "--data", str(body), "--trailer", "x-checksum: 1"),
        server.url("/echo", tls=tls),
    )
    assert result.stdout.encode("latin-1") == payload(1_000_000)


def test_expect_continue(server: Server, tls: bool, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"wanted")
    result = run(
        *(require("nghttp"), "--data", str(body), "--expect-continue", "--verbose"),
        server.url("/echo", tls=tls),
    )
    assert ":status: 100" in result.stdout
    assert "wanted" in result.stdout


def test_early_answer_reaches_a_client_that_is_still_sending(
    server: Server, tls: bool, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(payload(4_000_000))
    result = run(
        *(require("nghttp"), "--data", str(body), "--verbose"), server.url("/refuse", tls=tls)
    )
    assert ":status: 413" in result.stdout
    # RFC 9113 section 8.1: the rest of the request is not wanted.
    assert "error_code=NO_ERROR(0x00)" in result.stdout
    assert "too much" in result.stdout


def test_padding_and_continuation(server: Server, tls: bool) -> None:
    result = run(
        *(require("nghttp"), "--padding", "255", "--continuation"),
        server.url("/version", tls=tls),
    )
    assert result.stdout == "2.0"


def test_old_and_new_priorities(server: Server, tls: bool) -> None:
    url = server.url("/version", tls=tls)
    # The tree of RFC 7540, which nghttp builds with PRIORITY frames, is read and ignored.
    assert run(require("nghttp"), "--weight", "1", url).stdout == "2.0"
    assert run(require("nghttp"), "--header", "priority: u=0, i", url).stdout == "2.0"


def test_settings_are_announced(server: Server, tls: bool) -> None:
    output = run(require("nghttp"), "--verbose", server.url("/", tls=tls)).stdout
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    received = output[output.index("recv SETTINGS") :]
    assert "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100" in received
    assert re.search(r"\(0x08\):1\]", received), received  # RFC 8441


def test_h2load_without_a_failed_request(server: Server, tls: bool) -> None:
    count = 20_000 if server.engine == "native" else 5_000  # The other is slow by design.
    result = run(
        *(require("h2load"), "-n", f"{count}", "-c", "8", "-m", "32"), server.url("/", tls=tls)
    )
    assert f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout, result.stdout
    assert f"status codes: {count} 2xx" in result.stdout


def test_h2load_over_http_1_1(server: Server) -> None:
    result = run(*(require("h2load"), "--h1", "-n", "2000", "-c", "8"), server.url("/", tls=False))
    assert "2000 succeeded, 0 failed" in result.stdout, result.stdout


def test_h2load_uploads(server: Server, tls: bool, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(payload(100_000))
    result = run(
        *(require("h2load"), "-n", "200", "-c", "4", "-m", "10", "--data", str(body)),
        server.url("/upload", tls=tls),
    )
    assert "200 succeeded, 0 failed" in result.stdout, result.stdout
    assert "status codes: 200 2xx" in result.stdout
