"""When probabilities of a voice become its start and its stop: hysteresis, counted in samples.

Holds the two thresholds and the counting. Must not know where probabilities come from.
"""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.frames import VoiceStarted, VoiceStopped
from antiphon.options import Declared, within

__all__ = ["VoiceEdges", "VoiceOptions"]

_SAMPLE_RATE = 16_000


@dataclass(frozen=True, kw_only=True)
class VoiceOptions(Declared):
    """When a voice has started and when it has stopped.

    Attributes:
        start_threshold: A window above it counts towards the start; in (0, 1).
        stop_threshold: A window below it counts towards the stop; at most `start_threshold`.
            What lies between counts for neither. Source: Silero's own iterator uses 0.5 and 0.35.
        start_voice: Seconds of voice that make a start; 0.064 s is two windows: a click is shorter.
        stop_silence: Seconds of silence that make a stop. Short, since a stop only begins the
            decision whether the turn is over (see `antiphon.turns.endpointing`).

    Raises:
        OptionError: A value is out of range, or the thresholds are the wrong way round.
    """

    start_threshold: float = 0.5
    stop_threshold: float = 0.35
    start_voice: float = 0.064
    stop_silence: float = 0.096

    def __post_init__(self) -> None:
        within("VoiceOptions", "start_threshold", self.start_threshold, 0.01, 0.99, "probability")
        within(
            "VoiceOptions",
            "stop_threshold",
            self.stop_threshold,
            0.01,
            self.start_threshold,
            "probability (at most start_threshold)",
        )
        within("VoiceOptions", "start_voice", self.start_voice, 0.0, 1.0, "seconds")
        within("VoiceOptions", "stop_silence", self.stop_silence, 0.0, 3.0, "seconds")


class VoiceEdges:
    """Turns the probabilities of successive windows into edges.

    Args:
        window: Samples of one window, at 16 kHz.
        options: When an edge is made.
    """

    def __init__(self, window: int, options: VoiceOptions) -> None:
        self._window = window
        self._options = options
        self._start_samples = round(options.start_voice * _SAMPLE_RATE)
        self._stop_samples = round(options.stop_silence * _SAMPLE_RATE)
        self._position = 0
        self._run = 0
        self._run_started = 0
        self.is_on = False
        """Whether the voice has started and not stopped."""

    def feed(self, probability: float) -> VoiceStarted | VoiceStopped | None:
        """Take the next window's probability of a voice, in [0, 1].

        Returns:
            The edge that it makes, if any.
        """
        begin, self._position = self._position, self._position + self._window
        if self.is_on:
            return self._feed_on(probability, begin)
        return self._feed_off(probability, begin)

    def end(self) -> VoiceStopped | None:
        """No more windows come: a voice that is on ends here."""
        if not self.is_on:
            return None
        self.is_on, self._run = False, 0
        return VoiceStopped(self._position)

    def _feed_off(self, probability: float, begin: int) -> VoiceStarted | None:
        if probability >= self._options.start_threshold:
            if not self._run:
                self._run_started = begin
            self._run += self._window
        elif probability < self._options.stop_threshold:
            self._run = 0
        if not self._run or self._run < self._start_samples:
            return None
        self.is_on, self._run = True, 0
        late = (self._position - self._run_started) / _SAMPLE_RATE
        return VoiceStarted(self._run_started, late)

    def _feed_on(self, probability: float, begin: int) -> VoiceStopped | None:
        if probability < self._options.stop_threshold:
            if not self._run:
                self._run_started = begin
            self._run += self._window
        elif probability >= self._options.start_threshold:
            self._run = 0
        if not self._run or self._run < self._stop_samples:
            return None
        self.is_on, self._run = False, 0
        silence = (self._position - self._run_started) / _SAMPLE_RATE
        return VoiceStopped(self._run_started, silence)
