"""The sound of the person's turn so far, and what turn detectors make of it.

Holds the last seconds of sound only while somebody speaks. Must not decide how long to wait.
"""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.audio.formats import WIDEBAND
from antiphon.errors import ModelError, RemoteError
from antiphon.frames import ServiceFailed
from antiphon.services.base.turn import TurnDetector, TurnSoFar

__all__ = ["Hearing"]

_PRE_ROLL = WIDEBAND.n_bytes(0.3)
"""Sound kept before the voice starts: its detector needs up to 0.1 s, a soft onset more."""

_LONGEST = WIDEBAND.n_bytes(8.0)
"""The longest turn that detectors look at. Source: the input of Smart Turn v3 is 8 s."""


class Hearing:
    """Collects one session's sound, turn by turn.

    Args:
        detectors: Asked about it.
    """

    def __init__(self, detectors: Sequence[TurnDetector]) -> None:
        self._detectors = tuple(detectors)
        self._sound = bytearray()
        self._limit = _PRE_ROLL

    @property
    def has_detectors(self) -> bool:
        """Whether anybody can be asked."""
        return bool(self._detectors)

    async def prewarm(self) -> None:
        """Load the detectors."""
        for detector in self._detectors:
            await detector.prewarm()

    def add(self, pcm: bytes) -> None:
        """Take sound as it comes: mono s16le, 16 kHz."""
        if self._detectors:
            self._sound += pcm
            if len(self._sound) > self._limit:
                del self._sound[: len(self._sound) - self._limit]

    def begin(self) -> None:
        """A voice starts: keep its sound."""
        self._limit = _LONGEST

    def forget(self) -> None:
        """The turn is over."""
        self._limit = _PRE_ROLL
        del self._sound[: -self._limit]

    async def score(self, words: str, asked: str) -> tuple[float | None, tuple[ServiceFailed, ...]]:
        """Ask every detector; the lowest answer counts, since one doubt is enough to wait.

        Args:
            words: Of the turn so far.
            asked: What the agent said last.

        Returns:
            The probability that the turn is complete, None if no detector could say; and what
            failed.
        """
        turn = TurnSoFar(bytes(self._sound), words, asked)
        scores: list[float] = []
        failures: list[ServiceFailed] = []
        for detector in self._detectors:
            try:
                scores.append(await detector.score(turn))
            except (ModelError, RemoteError) as error:
                failures.append(ServiceFailed(detector.name, error.code, str(error)))
        return min(scores, default=None), tuple(failures)
