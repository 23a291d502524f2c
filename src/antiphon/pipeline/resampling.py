"""Stages that the pipeline puts in where two neighbours speak different sample rates.

They are visible in `Pipeline.describe`. Hold one resampler for each stream; must not mix channels.
"""

from __future__ import annotations

from antiphon.audio.formats import AudioFormat
from antiphon.audio.resample import Resampler
from antiphon.errors import OptionError
from antiphon.frames import Direction, Frame, SpeechAudio, UserAudio
from antiphon.pipeline.processor import FrameProcessor

__all__ = ["ResampleSpeech", "ResampleUserAudio"]


def _resampler(source: AudioFormat, target: AudioFormat) -> Resampler:
    same = source.channels == target.channels == 1 and source.sample_type == target.sample_type
    if not same:
        raise OptionError(f"cannot turn {source} into {target}: only mono sound is resampled")
    return Resampler(source.sample_rate, target.sample_rate)


class ResampleUserAudio(FrameProcessor):
    """Turn the person's sound from `source` into `target`, holding nothing back.

    Raises:
        OptionError: The formats differ in more than the rate.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._name = f"Resample user audio {source} to {target}"
        self.user_audio_needed = source
        self.user_audio_made = target
        self._resampler = _resampler(source, target)
        self._position = 0

    def process(self, frame: Frame, direction: Direction) -> None:
        """Resample `UserAudio`; hand everything else on."""
        if isinstance(frame, UserAudio):
            assert self.user_audio_made is not None
            pcm = self._resampler.feed(frame.pcm)
            frame = UserAudio(pcm, self.user_audio_made, self._position)
            self._position += self.user_audio_made.samples(len(pcm))
        self.push(frame, direction)


class ResampleSpeech(FrameProcessor):
    """Turn the agent's sound from `source` into `target`, holding nothing back.

    Raises:
        OptionError: The formats differ in more than the rate.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._name = f"Resample speech {source} to {target}"
        self.speech_needed = source
        self.speech_made = target
        self._resampler = _resampler(source, target)
        self._reply = 0

    def process(self, frame: Frame, direction: Direction) -> None:
        """Resample `SpeechAudio`, each reply from silence; hand everything else on."""
        if isinstance(frame, SpeechAudio):
            assert self.speech_needed is not None
            assert self.speech_made is not None
            if frame.reply != self._reply:
                self._reply = frame.reply
                self._resampler = _resampler(self.speech_needed, self.speech_made)
            pcm = self._resampler.feed(frame.pcm)
            frame = SpeechAudio(frame.reply, pcm, self.speech_made, frame.piece, frame.words)
        self.push(frame, direction)
