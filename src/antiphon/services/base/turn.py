"""`TurnDetector`: how likely it is that the person has finished their turn.

Holds the contract. The wait that follows from its answer is decided in `antiphon.turns`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from antiphon.services.base.service import Service

__all__ = ["TurnDetector", "TurnSoFar"]


@dataclass(frozen=True, slots=True)
class TurnSoFar:
    """The turn as far as it was heard.

    Attributes:
        pcm: Its sound, with the silence after it: mono s16le at 16 kHz, at most the last 8 s.
        words: Its words as far as they are known.
        asked: What the agent said last, "" if nothing.
    """

    pcm: bytes
    words: str
    asked: str


class TurnDetector(Service):
    """Judges whether a turn is complete."""

    @abstractmethod
    async def score(self, turn: TurnSoFar) -> float:
        """The probability, in [0, 1], that the person has finished.

        Called once for each pause, 100 to 200 ms into it. May be cancelled.
        """
