"""Comparing what was said with what was understood, however it is spelt."""

from __future__ import annotations

import re
from collections import Counter

_NUMBERS = dict(
    zip(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
        range(1, 11),
        strict=True,
    )
) | {"twenty": 20, "thirty": 30}
_SPELLINGS = {"tyre": "tire"}


def words(text: str) -> list[str]:
    """The words of a text in small letters, numbers in digits."""
    plain = re.sub(r"\$(\d+)", r"\1 dollars", text.lower()).replace("-", " ")
    found = re.findall(r"[a-z']+|\d+", plain)
    return [str(_NUMBERS.get(word, _SPELLINGS.get(word, word))) for word in found]


def overlap(one: str, other: str) -> float:
    """Share of the words that both have, of the longer text; 1.0: the same words."""
    first, second = Counter(words(one)), Counter(words(other))
    return (first & second).total() / max(first.total(), second.total(), 1)
