"""Where the time of a turn went: named, contiguous parts that sum to voice-to-voice time.

Holds the arithmetic from times to parts. Must not read a clock nor know who prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from antiphon.frames import WaterfallPart

__all__ = ["TurnTimes", "waterfall"]


@dataclass(slots=True)
class TurnTimes:
    """When what happened, in the loop's seconds; None: it did not, or was not needed.

    Attributes:
        voice_ended: The person's last sound, as the voice detector places it.
        voice_stopped: The voice detector said so.
        floor_free: The reply before it ended, if the person spoke over it without stopping it.
        turn_scored: The turn detectors answered.
        words_final: The last words were there.
        committed: The turn was taken.
        llm_first_token: The language model began to answer.
        tts_first_piece: The first clause went to the voice.
        tts_first_audio: The first sound came from it.
        playback_started: The first sound left for the ear.
    """

    voice_ended: float | None = None
    voice_stopped: float | None = None
    floor_free: float | None = None
    turn_scored: float | None = None
    words_final: float | None = None
    committed: float | None = None
    llm_first_token: float | None = None
    tts_first_piece: float | None = None
    tts_first_audio: float | None = None
    playback_started: float | None = None


def waterfall(times: TurnTimes, owners: Mapping[str, str]) -> tuple[WaterfallPart, ...]:
    """Cut the time from the person's last sound to the agent's first into parts.

    Things that ran side by side are shown one after the other: a part lasts from the end of the
    part before it to the moment it was done, so that only what was really waited for has a length.

    Args:
        times: Of one turn.
        owners: Names of the services, by ``stt``, ``llm``, ``tts`` and ``turn``.

    Returns:
        The parts in order, those without a length left out; empty if there was no last sound (the
        turn was typed, or the agent spoke first) or no answer.
    """
    if times.voice_ended is None or times.playback_started is None:
        return ()
    turn, stt = owners.get("turn", "turn detector"), owners.get("stt", "stt")
    llm, tts = owners.get("llm", "llm"), owners.get("tts", "tts")
    steps = (
        ("voice detection", times.voice_stopped, "vad", "VoiceOptions.stop_silence"),
        ("reply before", times.floor_free, "turn policy", "allow_interruptions"),
        ("turn score", times.turn_scored, turn, "Agent.turn_detector"),
        ("transcript", times.words_final, stt, "Agent.stt"),
        ("turn decision", times.committed, "turn policy", "TurnOptions.min_wait"),
        ("first token", times.llm_first_token, llm, "Agent.llm"),
        ("first clause", times.tts_first_piece, llm, "Agent.instructions"),
        ("first sound", times.tts_first_audio, tts, "Agent.tts"),
        ("output", times.playback_started, "transport", "the network"),
    )
    parts = []
    at = times.voice_ended
    for name, done, owner, setting in steps:
        end = at if done is None else min(done, times.playback_started)
        if end > at:
            parts.append(WaterfallPart(name, end - at, owner, setting))
            at = end
    return tuple(parts)
