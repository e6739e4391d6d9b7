"""``docs/reference.md`` lists the known differences, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from tests.engine.differential.http1_rules import REQUEST_RULES, RESPONSE_RULES
from tests.engine.differential.http2_rules import HTTP2_RULES

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_page_lists_every_rule_with_its_section() -> None:
    text = " ".join(PAGE.read_text().split())
    every = (*REQUEST_RULES, *RESPONSE_RULES, *HTTP2_RULES)
    listed = re.findall(r"- \*\*([\w-]+)\*\*", text)
    assert listed == [rule.name for rule in every]
    for rule in every:
        assert f"**{rule.name}** ({rule.section}). {' '.join(rule.reason.split())}" in text
