"""curl against plait's server: every way that it can speak HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.app import digest, payload
from tests.interop.conftest import Curl, Server

MEGABYTES = 16


@dataclass(frozen=True)
class Way:
    """An option of curl and what it leads to."""

    option: str
    tls: bool
    version: str

    @property
    def reuses(self) -> bool:
        """False where curl 7.88 goes wrong on the second request, whatever the server."""
        return self.option != "--http2-prior-knowledge"

    def __str__(self) -> str:
        return f"{self.option.removeprefix('--')}{'-tls' if self.tls else ''}"


WAYS = [
    Way("--http1.1", tls=False, version="1.1"),
    Way("--http1.1", tls=True, version="1.1"),
    Way("--http2-prior-knowledge", tls=False, version="2.0"),
    Way("--http2", tls=True, version="2.0"),
]


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(params=[way for way in WAYS if way.reuses], ids=str)
def reusing_way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def test_get(curl: Curl, server: Server, way: Way) -> None:
    result = curl(way.option, server.url("/version", tls=way.tls))
    assert result.stdout == way.version
    assert server.versions == {way.version}


def test_head_has_the_length_and_no_body(curl: Curl, server: Server, way: Way) -> None:
    url = server.url("/", tls=way.tls)
    # A second request: a body sent by mistake would be read as its response.
    second = ["--next", way.option, url] if way.reuses else []
    result = curl(way.option, "--head", url, *second)
    assert result.stdout.lower().count("content-length: 13") == 1
    assert result.stdout.count("Hello, World!") == (1 if second else 0)
    assert server.connections == 1


def test_post(curl: Curl, server: Server, way: Way) -> None:
    result = curl(way.option, "--data-binary", "a=1&b=2", server.url("/echo", tls=way.tls))
    assert result.stdout == "a=1&b=2"


def test_form_with_files(curl: Curl, server: Server, way: Way, tmp_path: Path) -> None:
    small, large = tmp_path / 'a "b".txt', tmp_path / "\u00e9.bin"
    small.write_bytes(b"small\r\n--x")
    large.write_bytes(payload(MEGABYTES * 2**20))
    result = curl(
        *(way.option, "--form", "text=\u00e9 & more", "--form-string", "at=@x"),
        *("--form", f'small=@"{small.as_posix().replace(chr(34), chr(92) + chr(34))}"'),
        *("--form", f"large=@{large};type=image/x"),
        server.url("/form", tls=way.tls),
    )
    assert json.loads(result.stdout) == [
        ["text", "\u00e9 & more"],
        ["at", "@x"],
        # As browsers do, curl writes quotes so; what else might they have been?
        ["small", "a %22b%22.txt", "text/plain", digest(small.read_bytes())],
        ["large", "\u00e9.bin", "image/x", digest(large.read_bytes())],
    ]


def test_expectation_is_met_when_the_body_is_wanted(curl: Curl, server: Server, way: Way) -> None:
    result = curl(
        *(way.option, "--verbose", "--header", "Expect: 100-continue"),
        *("--data-binary", "wanted", server.url("/echo", tls=way.tls)),
    )
    assert result.stdout == "wanted"
    assert "< HTTP/1.1 100" in result.stderr or "< HTTP/2 100" in result.stderr


def test_expectation_is_refused_before_the_body(
    curl: Curl, server: Server, way: Way, tmp_path: Path
) -> None:
    if server.engine == "reference" and way.version == "2.0":
        pytest.skip("it sends RST_STREAM behind the answer, and then curl 7.88 may lose that")
    body = tmp_path / "body"
    body.write_bytes(payload(2_000_000))
    result = curl(
        *(way.option, "--verbose", "--header", "Expect: 100-continue"),
        *("--write-out", "%{http_code} %{size_upload}", "--data-binary", f"@{body}"),
        server.url("/refuse", tls=way.tls),
    )
    assert result.stdout == "too much413 0"
    assert " 100" not in [line[:12] for line in result.stderr.splitlines()]


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
def test_early_answer_reaches_a_client_that_is_still_sending(
    curl: Curl, server: Server, tls: bool, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(payload(4_000_000))
    # Over HTTP/2 curl 7.88 may lose it; nghttp has that test.  The rate is such that curl looks
    # for an answer before it has sent ``Limits.max_drain`` more: a busy machine may let it send
    # all 4 MB first, and then it meets a connection that was closed for that.
    result = curl(
        *("--http1.1", "--header", "Expect:", "--write-out", "%{http_code}"),
        *("--limit-rate", "2M", "--data-binary", f"@{body}", server.url("/refuse", tls=tls)),
    )
    assert result.stdout == "too much413"


@pytest.mark.parametrize("length", ["", "&length"], ids=["streamed", "length"])
def test_large_download(curl: Curl, server: Server, way: Way, length: str, tmp_path: Path) -> None:
    size = MEGABYTES * 1_000_000
    target = tmp_path / "body"
    url = server.url(f"/download?size={size}{length}", tls=way.tls)
    curl(way.option, "--output", str(target), url)
    assert digest(target.read_bytes()) == digest(payload(size))


def test_slow_reader_gets_everything(curl: Curl, server: Server, way: Way) -> None:
    size = 3_000_000
    result = curl(
        *(way.option, "--limit-rate", "2M", "--output", "/dev/null"),
        *("--write-out", "%{size_download}"),
        server.url(f"/download?size={size}", tls=way.tls),
    )
    assert result.stdout == str(size)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "streamed"])
def test_large_upload(curl: Curl, server: Server, way: Way, chunked: bool, tmp_path: Path) -> None:
    body = payload(MEGABYTES * 1_000_000)
    file = tmp_path / "body"
    file.write_bytes(body)
    # From standard input curl does not know the length.
    source, stdin = ("-", body) if chunked else (str(file), b"")
    url = server.url("/upload", tls=way.tls)
    result = curl(way.option, "--upload-file", source, url, stdin=stdin)
    assert result.stdout == digest(body)
    assert ("content-length" in server.record[0].headers) is not chunked


def test_body_up_and_down_at_once(curl: Curl, server: Server, way: Way, tmp_path: Path) -> None:
    body = payload(4_000_000)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(body)
    curl(
        *(way.option, "--data-binary", f"@{source}", "--output", str(target)),
        server.url("/duplex", tls=way.tls),
    )
    assert digest(target.read_bytes()) == digest(body)


def test_connection_is_kept_alive(curl: Curl, server: Server, reusing_way: Way) -> None:
    urls = [
        server.url(path, tls=reusing_way.tls)
        for path in ("/", "/version", "/status/204", "/none", "/")
    ]
    result = curl(reusing_way.option, "--write-out", "[%{http_code}:%{num_connects}]", *urls)
    codes = [part.partition("]")[0] for part in result.stdout.split("[")[1:]]
    assert codes == ["200:1", "200:0", "204:0", "404:0", "200:0"]


def test_parallel_requests(curl: Curl, server: Server, reusing_way: Way) -> None:
    url = server.url("/download?size=100000", tls=reusing_way.tls)
    result = curl(
        *(
            reusing_way.option,
            "--parallel",
            "--parallel-max",
            "40",
            "--write-out",
            "%{size_download} ",
        ),
        *(argument for _ in range(40) for argument in ("--output", "/dev/null", url)),
    )
    assert result.stdout.split() == ["100000"] * 40
    if reusing_way.version == "2.0":
        assert server.connections < 40


def test_many_and_odd_header_fields(curl: Curl, server: Server, way: Way) -> None:
    fields = [f"X-Field-{number}: value {number}" for number in range(60)]
    fields.append("X-Latin: caf\xe9")
    result = curl(
        *(way.option, *(argument for field in fields for argument in ("--header", field))),
        server.url("/headers", tls=way.tls),
    )
    received = {name.lower(): value for name, value in json.loads(result.stdout)}
    for field in fields:
        name, _, value = field.partition(": ")
        assert received[name.lower()] == value


def test_too_large_head_is_refused(curl: Curl, server: Server, way: Way) -> None:
    if server.engine == "reference":
        pytest.skip("the reference engine does not have this limit")
    # More fields than Limits.max_fields: 431 (RFC 6585 section 5).
    fields = [argument for n in range(140) for argument in ("--header", f"X-{n}: 1")]
    result = curl(
        *(way.option, *fields, "--output", "/dev/null", "--write-out", "%{http_code}"),
        server.url("/", tls=way.tls),
    )
    assert result.stdout == "431"
    assert server.record == []


def test_trailers_come_behind_the_body(curl: Curl, server: Server, way: Way) -> None:
    result = curl(
        *(way.option, "--header", "TE: trailers", "--include"),
        server.url("/trailers", tls=way.tls),
    )
    head, _, rest = result.stdout.partition("\r\n\r\n")
    assert "x-checksum" not in head.lower()
    assert rest.lower().replace("\r\n", "\n").rstrip() == "bodyx-checksum: 1"


def test_redirect_is_followed(curl: Curl, server: Server, reusing_way: Way) -> None:
    result = curl(reusing_way.option, "--location", server.url("/redirect", tls=reusing_way.tls))
    assert result.stdout == reusing_way.version


def test_http_1_0(curl: Curl, server: Server) -> None:
    url = server.url("/version", tls=False)
    result = curl("--http1.0", url, url)
    assert result.stdout == "1.01.0"


def test_upgrade_to_h2c_is_ignored(curl: Curl, server: Server) -> None:
    # RFC 9113 section 3.1 took the h2c upgrade away; the request is served as HTTP/1.1.
    result = curl("--http2", "--verbose", server.url("/version", tls=False))
    assert "> Upgrade: h2c" in result.stderr
    assert result.stdout == "1.1"


def test_options_asterisk(curl: Curl, server: Server, way: Way) -> None:
    result = curl(
        *(way.option, "--request", "OPTIONS", "--request-target", "*", "--output", "/dev/null"),
        *("--write-out", "%{http_code}", server.url("/", tls=way.tls)),
    )
    assert result.stdout in {"200", "204", "404", "405"}


def test_alpn_prefers_http_2(curl: Curl, server: Server) -> None:
    result = curl(server.url("/version", tls=True))
    assert result.stdout == "2.0"
