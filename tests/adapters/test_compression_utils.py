"""Compressing and decompressing by aiohttp's names, and another zlib in the place of zlib."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait import web
from plait.compression_utils import (
    DECODERS,
    BrotliDecompressor,
    DecompressionBaseHandler,
    TooManyMembersError,
    ZLibBackend,
    ZLibCompressor,
    ZLibDecompressor,
    ZSTDDecompressor,
    encoding_to_mode,
    find_decoder,
)
from tests.adapters.web_handlers import answer_of
from tests.adapters.web_peer import Setup

pytestmark = pytest.mark.anyio


class Backend:
    """zlib, and what was made with it."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(zlib, name)

    def compressobj(self, **options: Any) -> Any:
        self.made.append(f"compressobj {options['wbits']}")
        return zlib.compressobj(**options)

    def decompressobj(self, **options: Any) -> Any:
        self.made.append(f"decompressobj {options['wbits']}")
        return zlib.decompressobj(**options)


@pytest.fixture
def backend() -> Iterator[Any]:
    made = Backend()
    plait.set_zlib_backend(made)
    yield made
    plait.set_zlib_backend(zlib)


def test_the_backend_shows_what_it_wraps(backend: Any) -> None:
    assert ZLibBackend.name == "zlib"
    assert ZLibBackend.Z_FINISH == zlib.Z_FINISH
    assert ZLibBackend.decompress(ZLibBackend.compress(b"a")) == b"a"
    with pytest.raises(AttributeError):
        _ = ZLibBackend.no_such_name
    plait.set_zlib_backend(SimpleNamespace())  # type: ignore[arg-type]  # it has no name
    assert ZLibBackend.name == "undefined"


def test_modes() -> None:
    assert encoding_to_mode("gzip") == 31
    assert encoding_to_mode("deflate") == encoding_to_mode() == 15
    assert encoding_to_mode("deflate", suppress_deflate_header=True) == -15


async def test_it_compresses_responses(setup: Setup, backend: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        whole = "whole" in request.query
        response = web.Response(body=b"abc") if whole else web.StreamResponse()
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        if not whole:
            await response.write(b"abc")
        return response

    for target in ("/?whole", "/"):
        answer = await answer_of(setup, handler, "GET", target)
        assert gzip.decompress(answer.body) == b"abc"
    assert backend.made == ["compressobj 31", "compressobj 31"]


def test_it_decodes(backend: Any) -> None:
    for name, data, mode in (
        ("gzip", gzip.compress(b"abc", mtime=0), 31),
        ("x-gzip", gzip.compress(b"abc"), 31),
        ("deflate", zlib.compress(b"abc"), 15),
        ("deflate", zlib.compress(b"abc", wbits=-15), -15),
    ):
        decoder = find_decoder(name)
        assert decoder is not None
        assert decoder.decode(data, 10) == b"abc"
        decoder.finish()
        assert backend.made.pop() == f"decompressobj {mode}"


@pytest.mark.parametrize("limit", [0, 7])
@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 250), max_size=5))
def test_a_round_trip(limit: int, data: bytes, cuts: list[int]) -> None:
    for encoding in ("gzip", "deflate"):
        compressor = ZLibCompressor(encoding, level=9, strategy=zlib.Z_DEFAULT_STRATEGY)
        raw = compressor.compress_sync(data) + compressor.flush()
        decompressor = ZLibDecompressor(encoding)
        out = b""
        edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
        for start, end in itertools.pairwise(edges):
            piece = decompressor.decompress_sync(raw[start:end], limit)
            assert not limit or len(piece) <= limit
            out += piece
        while decompressor.data_available:
            out += decompressor.decompress_sync(b"", limit)
        assert out == data
        assert decompressor.eof


def test_flush_gives_the_rest() -> None:
    decompressor = ZLibDecompressor("gzip")
    assert decompressor.decompress_sync(gzip.compress(b"abcdef"), 2) == b"ab"
    assert not decompressor.eof
    assert decompressor.flush(1) == b"c"
    assert decompressor.flush() == b"def"
    assert decompressor.flush() == b""


def test_members_follow_each_other() -> None:
    decompressor = ZLibDecompressor("gzip")
    assert decompressor.decompress_sync(gzip.compress(b"a") * 1024) == b"a" * 1024
    with pytest.raises(TooManyMembersError):
        ZLibDecompressor("gzip").decompress_sync(gzip.compress(b"") * 1025)
    with pytest.raises(zlib.error):
        ZLibDecompressor("gzip").decompress_sync(b"this is not gzip")


OTHERS: list[tuple[str, type[DecompressionBaseHandler], str]] = [
    ("br", BrotliDecompressor, "0b018061626303"),
    ("zstd", ZSTDDecompressor, "28b52ffd2003190000616263"),
]


@pytest.mark.parametrize(("name", "make", "raw"), OTHERS)
def test_codings_of_packages(name: str, make: type[DecompressionBaseHandler], raw: str) -> None:
    if name not in DECODERS:
        with pytest.raises(RuntimeError, match="not installed"):
            make()
        return
    assert make().decompress_sync(bytes.fromhex(raw)) == b"abc"
    with pytest.raises(zlib.error):
        make().decompress_sync(b"not " * 20)


@pytest.mark.parametrize(("name", "make", "raw"), OTHERS)
def test_without_the_package(
    monkeypatch: pytest.MonkeyPatch, name: str, make: type[DecompressionBaseHandler], raw: str
) -> None:
    flag = {"br": "HAS_BROTLI", "zstd": "HAS_ZSTD"}[name]
    monkeypatch.setattr(f"plait.compression_utils.{flag}", False)
    with pytest.raises(RuntimeError, match="not installed"):
        make()


class Threads(ThreadPoolExecutor):
    """An executor that counts what it does."""

    def __init__(self) -> None:
        super().__init__(1)
        self.jobs = 0

    def submit(self, *args: Any, **options: Any) -> Any:
        self.jobs += 1
        return super().submit(*args, **options)


async def test_an_executor_takes_what_is_long() -> None:
    with Threads() as threads:
        for limit, jobs in ((None, 0), (10, 1), (9, 3)):
            threads.jobs = 0
            options: Any = {"executor": threads, "max_sync_chunk_size": limit}
            compressor = ZLibCompressor("gzip", **options)
            raw = await compressor.compress(b"a" * 10) + compressor.flush()
            decompressor = ZLibDecompressor("gzip", **options)
            out = await decompressor.decompress(raw[:10], 20)
            out += await decompressor.decompress(raw[10:], 20)
            assert out == b"a" * 10
            assert threads.jobs == jobs


async def test_the_executor_of_a_response(setup: Setup) -> None:
    threads = Threads()

    async def handler(request: web.Request) -> web.Response:
        size = int(request.query["size"])
        response = web.Response(body=b"x" * size, zlib_executor_size=100, zlib_executor=threads)
        response.enable_compression(web.ContentCoding.deflate)
        return response

    with threads:
        for size, jobs in ((100, 0), (101, 1)):
            answer = await answer_of(setup, handler, "GET", f"/?size={size}")
            assert zlib.decompress(answer.body) == b"x" * size
            assert threads.jobs == jobs
