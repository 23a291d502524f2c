"""The options of a running pipeline. Holds values and their checks, nothing that runs."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.options import Declared, one_of, within

__all__ = ["INTERRUPTION_STRATEGIES", "PipelineParams"]

INTERRUPTION_STRATEGIES = ("vad",)
"""What may stop the agent while it speaks. ``"vad"``: the person's voice, at once."""


@dataclass(frozen=True, kw_only=True)
class PipelineParams(Declared):
    """Options of a `PipelineTask`.

    Attributes:
        allow_interruptions: Whether the person's voice stops the agent. If not, what they say
            meanwhile is kept and answered afterwards.
        interruption_strategy: One of `INTERRUPTION_STRATEGIES`.
        enable_metrics: Measure each turn and tell observers and the far side.
        enable_usage_metrics: Report tokens, characters and seconds that services used.
        audio_in_sample_rate: Of the person's sound where the wire leaves it open, in Hz.
        audio_out_sample_rate: Of the agent's sound where the wire leaves it open, in Hz.
        start_timeout: Seconds that all stages together may take to become ready.
        drain_timeout: Seconds that the end may take, from `End` to the last sound played.
        cancel_timeout: Seconds that stages may take to clean up after a cancellation, before
            they are cancelled again and named.

    Raises:
        OptionError: For an unknown name or a value out of range.
    """

    allow_interruptions: bool = True
    interruption_strategy: str = "vad"
    enable_metrics: bool = True
    enable_usage_metrics: bool = False
    audio_in_sample_rate: int = 16_000
    audio_out_sample_rate: int = 16_000
    start_timeout: float = 20.0
    drain_timeout: float = 120.0
    cancel_timeout: float = 5.0

    def __post_init__(self) -> None:
        owner = "PipelineParams"
        one_of(owner, "interruption_strategy", self.interruption_strategy, INTERRUPTION_STRATEGIES)
        within(owner, "audio_in_sample_rate", self.audio_in_sample_rate, 8_000, 48_000, "Hz")
        within(owner, "audio_out_sample_rate", self.audio_out_sample_rate, 8_000, 48_000, "Hz")
        within(owner, "start_timeout", self.start_timeout, 0.1, 600, "seconds")
        within(owner, "drain_timeout", self.drain_timeout, 0.1, 3_600, "seconds")
        within(owner, "cancel_timeout", self.cancel_timeout, 0.1, 60, "seconds")
