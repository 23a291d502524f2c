"""Cutting a stream of text into pieces that can be spoken at once.

The first piece is short, since the person waits for it; later ones are longer, since they sound
better. Holds the cutting. Must not change a character but the spaces between pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["Clauses"]

_SENTENCE = re.compile(r"[.!?…]+[\"')\]]*\s+(?=\S)|\n+")
_CLAUSE = re.compile(r"[.!?…,;:]+[\"')\]]*\s+(?=\S)|\s[–—-]\s+(?=\S)|\n+")
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|[A-Za-z]\.[A-Za-z]|Mr|Mrs|Ms|Dr|St|vs|etc|No))\.\s*$")


class Clauses:
    """Collects text and gives it back in pieces.

    Args:
        first_words: Words that the first piece has at least, when it ends with a clause; a line
            break ends a piece of any length.
        longest: Characters after which a piece is cut at a space, whatever stands there: some text
            never has a full stop.
    """

    __slots__ = ("_first_words", "_given", "_longest", "_text")

    def __init__(self, *, first_words: int = 3, longest: int = 240) -> None:
        self._first_words = first_words
        self._longest = longest
        self._text = ""
        self._given = 0

    def add(self, text: str) -> Iterator[str]:
        """Take more text; gives the pieces that are complete now, without spaces around them."""
        self._text += text
        while True:
            cut = self._cut()
            if cut is None:
                return
            piece, self._text = self._text[:cut].strip(), self._text[cut:]
            if piece:
                self._given += 1
                yield piece

    def flush(self) -> Iterator[str]:
        """The text is complete: gives the rest."""
        piece, self._text = self._text.strip(), ""
        if piece:
            self._given += 1
            yield piece

    def _cut(self) -> int | None:
        pattern, least = (_SENTENCE, 1) if self._given else (_CLAUSE, self._first_words)
        for match in pattern.finditer(self._text):
            before = self._text[: match.end()]
            if "\n" in match.group():
                return match.end()  # a line break is meant, however short the line
            if len(before.split()) >= least and not _ABBREVIATION.search(before):
                return match.end()
        if len(self._text) > self._longest:
            space = self._text.rfind(" ", 0, self._longest)
            return space + 1 if space > 0 else self._longest
        return None
