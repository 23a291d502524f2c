"""A scripted agent: it answers typed text with a tone, and is silent when it is spoken to."""

from __future__ import annotations

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.frames import (
    AgentText,
    Direction,
    End,
    Frame,
    PlaybackEnded,
    SpeechAudio,
    SpeechEnded,
    SpeechPiece,
    TypedText,
    UserAudio,
)
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineParams, PipelineTask
from antiphon.pipeline.replies import ReplyScope


def tone(audio_format: AudioFormat, seconds: float, level: int = 1000) -> bytes:
    return level.to_bytes(2, "little", signed=True) * round(seconds * audio_format.sample_rate)


class Parrot(FrameProcessor):
    """Says what was typed, at `pace` seconds a word. A loud packet of the person's stops it."""

    def __init__(self, *, pace: float = 0.5, greeting: str = "") -> None:
        self.speech_made = WIDEBAND
        self.pace = pace
        self.greeting = greeting
        self.audio = bytearray()
        self.positions: list[tuple[float, int]] = []
        self.typed: list[str] = []
        self.heard: list[str] = []
        self.ends = 0
        self.said = 0
        self.scope: ReplyScope | None = None

    def started(self) -> None:
        if self.greeting:
            self.say(self.greeting)

    def process(self, frame: Frame, direction: Direction) -> None:
        match frame:
            case UserAudio(pcm=pcm, at_sample=at_sample):
                self.positions.append((self.now, at_sample))
                self.audio += pcm
                if self.scope and max(pcm) > 100:
                    self.stop(interrupted=True)
            case TypedText(text=text):
                self.typed.append(text)
                if text == "raise":
                    raise RuntimeError("the parrot was asked to")
                self.say(text)
            case End():
                self.ends += 1
            case PlaybackEnded():
                self.stop(interrupted=False)
        self.push(frame, direction)

    def say(self, text: str) -> None:
        self.said += 1
        self.scope = self.task.replies.open(self.said)
        for piece, word in enumerate(text.split()):
            self.push(SpeechPiece(self.said, piece, word))
            self.push(SpeechAudio(self.said, tone(WIDEBAND, self.pace), WIDEBAND, piece))
        self.push(SpeechEnded(self.said))
        self.scope.commit()

    def stop(self, *, interrupted: bool) -> None:
        scope, self.scope = self.scope, None
        assert scope is not None
        scope.close()
        self.heard.append(scope.ledger.heard())
        self.push(AgentText(scope.number, self.heard[-1], final=True, interrupted=interrupted))

    async def cleanup(self) -> None:
        if self.scope is not None:
            self.stop(interrupted=True)

    def task_between(
        self, above: FrameProcessor, below: FrameProcessor, params: PipelineParams | None = None
    ) -> PipelineTask:
        return PipelineTask(Pipeline([above, self, below]), params)
