"""The times of the turn under way, from what passes the floor and what the reply marks.

Must not hold the arithmetic: that is `antiphon.turns.waterfall`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from antiphon.frames import (
    Frame,
    PlaybackEnded,
    Transcript,
    TurnScored,
    TypedText,
    VoiceStopped,
    WaterfallPart,
)
from antiphon.turns.waterfall import TurnTimes, waterfall

__all__ = ["Stopwatch"]

_MARKS = ("llm_first_token", "tts_first_piece", "tts_first_audio", "playback_started")


class Stopwatch:
    """Measures turns, one after the other.

    Args:
        owners: Names of the services, by ``stt``, ``llm``, ``tts`` and ``turn``.
    """

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = dict(owners)
        self._times = TurnTimes()

    def note(self, frame: Frame, now: float) -> None:
        """Note when what matters for a turn passed."""
        match frame:
            case VoiceStopped(silence=silence):
                self._times = TurnTimes(voice_ended=now - silence, voice_stopped=now)
            case TypedText():
                self._times = TurnTimes(voice_ended=now)
            case Transcript(final=True):
                self._times.words_final = now
            case PlaybackEnded():
                self._times.floor_free = now
            case TurnScored():
                self._times.turn_scored = now

    def committed(self, now: float) -> None:
        """The turn was taken."""
        self._times.committed = now

    def measure(self, marks: Mapping[str, float]) -> tuple[WaterfallPart, ...]:
        """Give the parts of the turn whose reply made `marks`, and begin anew."""
        times, self._times = self._times, TurnTimes()
        made = replace(times, **{name: marks.get(name) for name in _MARKS})
        return waterfall(made, self._owners)
