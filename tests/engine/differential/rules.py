"""What a known difference between the native and the reference engine is made of.

Strategy
--------
What a rule explains too generously is a bug that nobody will see.  So a rule has to show
two things.  First, *evidence*: the bytes at the place where the engines part have what the
rule is about.  Second, *the outcome*: native did what the RFC asks, and nothing else.  There
are two kinds:

* Native is the stricter one.  It refused the message with the evidence, at the bytes that
  are the evidence; all before that is what the reference saw too; nothing came behind it.
* The reference is the stricter one, or says it in another way.  The rule takes the evidence
  out of the bytes (a *repair*), and both engines run again.  Native must have come to the
  same, and on what is left the engines must agree, or differ as is known.

Where things happened is known from a run that gets the bytes one by one.

The rules are in ``http1_rules`` and ``http2_rules``; ``docs/reference.md`` lists them, and
``test_rules.py`` holds the list and the tables equal.  ``test_explanations.py`` shows for
each rule a difference that it explains, and that it explains no other outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from plait_engine.engines import EngineName
from plait_engine.testing import Fragmenter, bytewise, whole
from tests.engine.differential.harness import Message, Outcome, differences

Run: TypeAlias = Callable[[EngineName, bytes, Fragmenter], Outcome]
"""Gives bytes, cut in a way, to an engine."""

MOST_REPAIRS = 20


@dataclass(frozen=True)
class Rule:
    """A difference with a name, the text that decides, and why the two differ."""

    name: str
    section: str
    reason: str
    explains: Callable[[Case], bool]


@dataclass(frozen=True)
class Case:
    """The same bytes in both engines, what came of it, and the differences that are known."""

    rules: Sequence[Rule]
    run: Run
    data: bytes
    native: Outcome
    reference: Outcome
    repairs: int = 0

    @cached_property
    def native_places(self) -> Outcome:
        """Native's outcome with an exact trace."""
        return self.run("native", self.data, bytewise)

    @cached_property
    def reference_places(self) -> Outcome:
        """The reference's outcome with an exact trace."""
        return self.run("reference", self.data, bytewise)

    def again(self, data: bytes) -> Case:
        """Run both engines with other bytes."""
        return Case(
            self.rules,
            self.run,
            data,
            self.run("native", data, bytewise),
            self.run("reference", data, whole),
            self.repairs + 1,
        )

    def with_reference(self, reference: Outcome) -> Case:
        """The same with another outcome of the reference."""
        return replace(self, reference=reference, repairs=self.repairs + 1)

    @property
    def is_settled(self) -> bool:
        """Whether the outcomes are the same, or differ as a rule explains."""
        return self.native.same_as(self.reference) or self.explanation() is not None

    def explanation(self) -> Rule | None:
        """Return the first rule that explains how the outcomes differ, or ``None``."""
        if self.repairs > MOST_REPAIRS:
            return None
        return next((rule for rule in self.rules if rule.explains(self)), None)


def compare(rules: Sequence[Rule], run: Run, data: bytes, fragment: Fragmenter) -> None:
    """Fail unless the engines come to the same, or differ as a rule explains."""
    native, reference = run("native", data, fragment), run("reference", data, whole)
    if not Case(rules, run, data, native, reference).is_settled:
        raise AssertionError(f"nothing explains this{differences(native, reference)}")


# -- what conditions are made of ----------------------------------------------------------


def cut_short(native: Outcome, before: Outcome, reference: Outcome, in_body: bool) -> bool:
    """Native saw the messages ``before``; and if ``in_body``, the start of one more, the last.

    The reference saw the same, and perhaps more.
    """
    keys = sorted(native.messages)
    last = keys.pop() if in_body and keys else None
    seen = reference.messages
    return (
        keys == sorted(before.messages)
        and all(is_same(native.messages[key], before.messages[key]) for key in keys)
        and all(key in seen and is_same(native.messages[key], seen[key]) for key in keys)
        and in_body is (last is not None)
        and (last is None or (last in seen and is_start(native.messages[last], seen[last])))
    )


def is_same(one: Message, other: Message) -> bool:
    return one.comparable() == other.comparable()


def is_start(shorter: Message, longer: Message) -> bool:
    """``shorter`` is the same message, given up before its end."""
    return (
        shorter.end not in ("complete", "open")
        and shorter.comparable()[:3] == longer.comparable()[:3]
        and longer.content.startswith(shorter.content)
        and not shorter.trailers
    )
