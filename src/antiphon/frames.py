"""Everything that flows through a pipeline.

Frames are small frozen values. Two kinds exist: a `ReplyFrame` belongs to one numbered reply of the
agent and dies with that reply's scope; any other frame is never dropped. Positions in a stream are
counted in samples, durations in seconds. Must not hold behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from antiphon.audio.formats import AudioFormat
from antiphon.context import LLMContext, ToolCall, Usage

__all__ = [
    "AgentState",
    "AgentText",
    "Direction",
    "End",
    "Frame",
    "PlaybackEnded",
    "PlaybackStarted",
    "ReplyFrame",
    "ReplyRequested",
    "ServiceFailed",
    "SpeechAudio",
    "SpeechEnded",
    "SpeechPiece",
    "StateChanged",
    "TextDelta",
    "TextEnded",
    "ToolCallEnded",
    "ToolCallRequested",
    "Transcript",
    "TurnCommitted",
    "TurnMeasured",
    "TurnScored",
    "TypedText",
    "UsageReported",
    "UserAudio",
    "VoiceStarted",
    "VoiceStopped",
    "WaterfallPart",
    "WordTime",
]


class Direction(Enum):
    """Which way a frame travels."""

    DOWN = "down"
    """From the person's microphone towards the person's ear."""
    UP = "up"
    """Against the stream: what a later stage tells an earlier one."""


class AgentState(Enum):
    """What the agent does, as a person would say it."""

    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


class Frame:
    """Base of all frames. A frame that is no `ReplyFrame` is never dropped."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ReplyFrame(Frame):
    """Base of what belongs to one reply; dropped once that reply is closed.

    Attributes:
        reply: Number of the reply, counted from 1 in each session.
    """

    reply: int


@dataclass(frozen=True, slots=True)
class End(Frame):
    """No more input comes. Every frame before it is processed; then the pipeline ends."""


# ---- the person ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UserAudio(Frame):
    """Sound from the person's microphone.

    Attributes:
        pcm: Samples, interleaved if there are several channels.
        format: Of `pcm`.
        at_sample: Position of the first sample in the session's stream of that format.
    """

    pcm: bytes
    format: AudioFormat
    at_sample: int


@dataclass(frozen=True, slots=True)
class VoiceStarted(Frame):
    """The person's voice began.

    Attributes:
        at_sample: Where it began, in samples at 16 kHz since the session's start.
        late: Seconds between that sample and this frame: what the detector needed to be sure.
    """

    at_sample: int
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class VoiceStopped(Frame):
    """The person's voice ended, perhaps only for a breath.

    Attributes:
        at_sample: Where it ended, in samples at 16 kHz since the session's start.
        silence: Seconds of silence, counted in samples, between that sample and this frame.
    """

    at_sample: int
    silence: float = 0.0


@dataclass(frozen=True, slots=True)
class WordTime:
    """One word and when it is spoken.

    Attributes:
        word: As written.
        start: Seconds after the start of the audio that it belongs to.
        end: Likewise.
    """

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Transcript(Frame):
    """What the person said, as far as it is understood.

    Attributes:
        text: All words of this segment; it replaces what came before for the same segment.
        final: These words are not expected to change. A final for a segment that already had one
            replaces it (the person went on after a short pause).
        segment: Number of the stretch of speech, counted up by the speech-to-text stage.
        words: Times of the words within the session, where the service knows them.
    """

    text: str
    final: bool
    segment: int
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, slots=True)
class TypedText(Frame):
    """The person wrote instead of speaking: a complete turn."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnScored(Frame):
    """A turn detector's answer.

    Attributes:
        pause: Number of the pause that was asked about; an answer about an older one is stale.
        probability: That the turn is complete, in [0, 1]; None: no detector can say.
    """

    pause: int
    probability: float | None


@dataclass(frozen=True, slots=True)
class TurnCommitted(Frame):
    """The person's turn is over and will be answered.

    Attributes:
        text: All words of the turn.
        turn: Number of the turn, counted from 1.
    """

    text: str
    turn: int


# ---- the agent's reply ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplyRequested(ReplyFrame):
    """Answer the conversation as it stands in `context`, a snapshot."""

    context: LLMContext


@dataclass(frozen=True, slots=True)
class TextDelta(ReplyFrame):
    """Some more characters of the reply's text, with the spaces that belong to them."""

    text: str


@dataclass(frozen=True, slots=True)
class TextEnded(ReplyFrame):
    """The reply's text is complete."""


@dataclass(frozen=True, slots=True)
class ToolCallRequested(ReplyFrame):
    """The model asks for a function to be run."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolCallEnded(Frame):
    """A function has run. Never dropped: its effects are real whoever still listens.

    Attributes:
        reply: The reply that asked for it.
        call: What was asked.
        result: What the model is told.
        seconds: How long it took.
        failed: It raised; `result` says so in words for the model.
    """

    reply: int
    call: ToolCall
    result: str
    seconds: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class SpeechPiece(ReplyFrame):
    """A piece of text, such as a clause, that is being turned into speech.

    Attributes:
        piece: Counted from 0 within the reply.
        text: What is spoken, joined to the piece before it as it stands.
    """

    piece: int
    text: str


@dataclass(frozen=True, slots=True)
class SpeechAudio(ReplyFrame):
    """Sound of the reply.

    Attributes:
        pcm: Samples.
        format: Of `pcm`.
        piece: The piece of text that it speaks.
        words: Times of words within that piece's audio, where the service knows them.
    """

    pcm: bytes
    format: AudioFormat
    piece: int
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeechEnded(ReplyFrame):
    """The reply's sound is complete."""


@dataclass(frozen=True, slots=True)
class PlaybackStarted(ReplyFrame):
    """The first sound of the reply has left for the person's ear."""


@dataclass(frozen=True, slots=True)
class PlaybackEnded(ReplyFrame):
    """The reply has been played to its end, or had nothing to play."""


# ---- what observers and the far side are told -----------------------------------------------


@dataclass(frozen=True, slots=True)
class StateChanged(Frame):
    """The agent does something else now."""

    state: AgentState


@dataclass(frozen=True, slots=True)
class AgentText(Frame):
    """What the agent says.

    Attributes:
        reply: The reply that it belongs to.
        text: What was played so far (`final`), or the piece that starts to play now.
        final: The reply is over and `text` is all of it that was heard.
        interrupted: It was cut off.
    """

    reply: int
    text: str
    final: bool
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class WaterfallPart:
    """A named stretch of the time between the person's last sound and the agent's first.

    Attributes:
        name: What was waited for.
        seconds: How long.
        owner: Who spent it: a stage, a service, the turn policy, the line.
        setting: The option that governs it, or what to change to shorten it.
    """

    name: str
    seconds: float
    owner: str
    setting: str


@dataclass(frozen=True, slots=True)
class TurnMeasured(Frame):
    """Where the time of one turn went.

    Attributes:
        turn: Number of the turn.
        parts: Contiguous, in order; they sum to the voice-to-voice time.
    """

    turn: int
    parts: tuple[WaterfallPart, ...]


@dataclass(frozen=True, slots=True)
class UsageReported(Frame):
    """What a service used for one request."""

    service: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class ServiceFailed(Frame):
    """A service failed; the session goes on.

    Attributes:
        service: Its name.
        code: Short and stable.
        problem: What happened and who can mend it, without a caller's words or a secret.
        reply: The reply that ended by it, if any.
    """

    service: str
    code: str
    problem: str
    reply: int | None = None
