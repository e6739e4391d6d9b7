"""Recorded blocks of other encoders (tests/data/hpack-test-case)."""

import json
from pathlib import Path

import pytest

from plait_engine.http2.hpack import Decoder, Encoder

STORIES = Path(__file__).parents[2] / "data" / "hpack-test-case"


def cases(story):
    for case in json.loads(story.read_text())["cases"]:
        yield case, [field for entry in case["headers"] for field in entry.items()]


@pytest.mark.parametrize(
    "story",
    sorted(STORIES.rglob("story_*.json")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_block_decodes_and_our_own_blocks_too(story):
    decoder, encoder, own_decoder = Decoder(), Encoder(), Decoder()
    for case, headers in cases(story):
        size = case.get("header_table_size")
        if size is not None and size != decoder.max_table_size:
            decoder.max_table_size = own_decoder.max_table_size = size
            encoder.set_peer_table_size(size)
        assert decoder.decode(bytes.fromhex(case["wire"])) == headers
        assert own_decoder.decode(encoder.encode(headers)) == headers


def test_the_stories_are_there():
    assert len(list(STORIES.rglob("story_*.json"))) == 32
