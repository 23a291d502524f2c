"""What of a reply was heard: pieces of text, their sound, and how far it was played.

The context of a conversation must hold the words that the person heard and no others. Holds the
arithmetic from samples played to words. Must not hold time: playing is counted in samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from antiphon.frames import WordTime

__all__ = ["Ledger"]

_CHARACTERS_PER_SECOND = 15.0
"""Speaking rate assumed for a piece of unknown length before any piece is complete.

Source: English read aloud is about 150 words a minute; 6 characters a word with its space.
"""


@dataclass(slots=True)
class _Piece:
    text: str
    samples: int = 0
    is_complete: bool = False
    words: list[WordTime] = field(default_factory=list)


class Ledger:
    """The account of one reply.

    Args:
        sample_rate: Of all sample counts given to it, in Hz.
    """

    __slots__ = ("_pieces", "played", "sample_rate")

    def __init__(self, sample_rate: int = 16_000) -> None:
        self.sample_rate = sample_rate
        """Of all sample counts, in Hz. The output sets it before the first sound is entered."""
        self._pieces: dict[int, _Piece] = {}
        self.played = 0
        """Samples of the reply that were played, counted over all its pieces."""

    def add_text(self, piece: int, text: str) -> None:
        """Enter a piece of text; its sound follows. Pieces are numbered in the order of speech."""
        for earlier in self._pieces.values():
            earlier.is_complete = True
        self._pieces[piece] = _Piece(text)

    def add_audio(self, piece: int, samples: int, words: Sequence[WordTime] = ()) -> None:
        """Enter `samples` more of the sound of `piece`.

        Args:
            piece: Number of a piece; one that was not announced counts as silent text.
            samples: Not negative, at the ledger's rate.
            words: Times of its words within the piece's sound, where they are known.
        """
        entry = self._pieces.setdefault(piece, _Piece(""))
        entry.samples += samples
        entry.words.extend(words)

    def complete(self) -> None:
        """All sound of the reply has been entered."""
        for entry in self._pieces.values():
            entry.is_complete = True

    @property
    def samples(self) -> int:
        """Samples entered so far."""
        return sum(entry.samples for entry in self._pieces.values())

    @property
    def seconds_ahead(self) -> float:
        """Seconds of sound entered and not yet played."""
        return max(self.samples - self.played, 0) / self.sample_rate

    @property
    def text(self) -> str:
        """All text entered so far, heard or not."""
        return _join(entry.text for entry in self._pieces.values())

    def heard(self) -> str:
        """The words that `played` samples cover, a word counting from its middle on."""
        heard: list[str] = []
        left = self.played
        for entry in self._pieces.values():
            if left <= 0:
                break
            if entry.is_complete and left >= entry.samples:
                heard.append(entry.text)
            else:
                heard.append(self._part(entry, left))
            left -= entry.samples
        return _join(heard)

    def _part(self, entry: _Piece, samples: int) -> str:
        if entry.words:
            seconds = samples / self.sample_rate
            spoken = [word for word in entry.words if (word.start + word.end) / 2 <= seconds]
            return " ".join(word.word for word in spoken)
        share = samples / max(self._length(entry), 1)
        words = entry.text.split()
        total = sum(len(word) + 1 for word in words)
        kept, position = 0, 0
        for word in words:
            if (position + len(word) / 2) / total > share:
                break
            position += len(word) + 1
            kept += 1
        return " ".join(words[:kept])

    def _length(self, entry: _Piece) -> float:
        """Samples that the whole piece has, or will have as far as one can tell."""
        if entry.is_complete:
            return entry.samples
        done = [other for other in self._pieces.values() if other.is_complete and other.samples]
        characters = sum(len(other.text) for other in done)
        rate = (
            characters / sum(other.samples for other in done)
            if characters
            else _CHARACTERS_PER_SECOND / self.sample_rate
        )
        return max(entry.samples, len(entry.text) / rate)


def _join(texts: Iterable[str]) -> str:
    """Join pieces with one space: how they were cut says nothing about the space between them."""
    return " ".join(text.strip() for text in texts if text.strip())
