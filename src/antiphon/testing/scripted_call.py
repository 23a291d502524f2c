"""`call`: one whole conversation between an agent and a scripted caller, and what came of it.

Holds the record that a test looks at. Must not hold what the caller does: that is
`scripted_caller`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from antiphon.agent.agent import Agent
from antiphon.agent.floor import Floor
from antiphon.audio.formats import AudioFormat
from antiphon.context import LLMContext, Message
from antiphon.errors import AntiphonError, StageError
from antiphon.frames import Direction, Frame, SpeechAudio, TurnMeasured, UserAudio
from antiphon.pipeline.observers import Observer
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.task import Outcome
from antiphon.testing.recording import stereo
from antiphon.testing.scripted_caller import ScriptedCaller, Step
from antiphon.testing.scripted_wire import ScriptedWire

__all__ = ["CallRecord", "Said", "call"]

Kind = TypeVar("Kind", bound=Frame)


@dataclass(frozen=True, slots=True)
class Said:
    """Something that was said, as the far side was told.

    Attributes:
        at: Seconds since the call began, when it was told.
        role: ``"user"`` or ``"agent"``.
        text: The person's turn, or what was heard of the agent.
        interrupted: The agent was cut off here.
    """

    at: float
    role: str
    text: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What came of a call. All times are seconds since it began.

    Attributes:
        outcome: ``"ended"``, ``"cancelled"`` (the person hung up) or ``"drain timeout"``.
        seconds: How long the call lasted.
        agent_spans: When the agent was heard: stretches without a gap, start and end.
        caller_spans: When the person spoke, likewise.
        events: What the far side was told, with times.
        frames: All frames but sound, each when it first came to the floor or to the output.
        messages: The conversation at the end.
    """

    outcome: Outcome
    seconds: float
    agent_spans: tuple[tuple[float, float], ...]
    caller_spans: tuple[tuple[float, float], ...]
    events: tuple[tuple[float, Mapping[str, Any]], ...]
    frames: tuple[tuple[float, Frame], ...]
    messages: tuple[Message, ...]
    _caller: ScriptedCaller = field(repr=False, compare=False)

    @property
    def lines(self) -> tuple[Said, ...]:
        """What was said, turn by turn: the final transcripts of both."""
        return tuple(
            Said(at, told["role"], told["text"], told.get("interrupted", False))
            for at, told in self.events_of("transcript")
            if told["final"]
        )

    @property
    def turns(self) -> tuple[TurnMeasured, ...]:
        """The waterfall of each turn that was answered."""
        return tuple(frame for _, frame in self.frames_of(TurnMeasured))

    @property
    def response_times(self) -> tuple[float, ...]:
        """Seconds from the end of the person's sound to the agent's, for each time it answered.

        Sounds of the agent that began while the person spoke are no answers.
        """
        times = []
        for start, _ in self.agent_spans:
            before = [end for began, end in self.caller_spans if began < start]
            previous = [end for began, end in self.agent_spans if began < start]
            if before and max(before) <= start and max(previous, default=0.0) < max(before):
                times.append(round(start - max(before), 9))
        return tuple(times)

    def events_of(self, kind: str) -> tuple[tuple[float, Mapping[str, Any]], ...]:
        """The events of one type, such as ``"error"``, with times."""
        return tuple((at, told) for at, told in self.events if told["type"] == kind)

    def frames_of(self, kind: type[Kind]) -> tuple[tuple[float, Kind], ...]:
        """The frames of one type, with times."""
        return tuple((at, frame) for at, frame in self.frames if isinstance(frame, kind))

    def times_of(self, kind: type[Frame]) -> tuple[float, ...]:
        """When the frames of one type came."""
        return tuple(at for at, _ in self.frames_of(kind))

    def recording(self) -> bytes:
        """Stereo WAV file of both on one clock: the person left, the agent right."""
        caller, wire = self._caller, self._caller.wire
        until = wire.began + self.seconds
        return stereo(
            [(at - wire.began, pcm) for at, pcm in caller.spoken],
            caller.audio_in.sample_rate,
            [(at - wire.began, pcm) for at, pcm in wire.heard(until)],
            wire.audio_format.sample_rate,
            self.seconds,
        )

    def __str__(self) -> str:
        """The call as a person reads it, in order of time."""
        rows = [(start, f"caller speaks until {end:.3f}") for start, end in self.caller_spans]
        rows += [(start, f"agent is heard until {end:.3f}") for start, end in self.agent_spans]
        rows += [(at, _told(event)) for at, event in self.events]
        rows.append((self.seconds, self.outcome))
        return "\n".join(f"{at:8.3f}  {text}" for at, text in sorted(rows, key=_first))


def _first(row: tuple[float, str]) -> float:
    return row[0]


def _told(event: Mapping[str, Any]) -> str:
    match event:
        case {"type": "transcript", "role": role, "text": text, "final": final}:
            cut = " (interrupted)" if event.get("interrupted") else ""
            return f"{role}: {text}{cut}" if final else f"({role}: {text})"
        case {"type": "state", "state": state}:
            return f"[{state}]"
        case {"type": kind}:
            rest = {key: value for key, value in event.items() if key not in ("type", "parts")}
            return f"{kind} {rest}" if rest else str(kind)
    return str(dict(event))


class _Trace(Observer):
    """Notes every frame but sound, when it first enters one of two stages.

    Whatever travels down reaches the output within the same instant, and whatever travels up ends
    at the floor; to watch more stages would only cost time.
    """

    def __init__(self, output: FrameProcessor) -> None:
        self.stages = frozenset({Floor.__name__, output.name})
        self.seen: list[tuple[float, Frame]] = []
        self._ids: set[int] = set()

    def on_frame(self, frame: Frame, direction: Direction, into: str, now: float) -> None:
        # The list keeps every frame alive, so that no identity is given twice.
        if not isinstance(frame, UserAudio | SpeechAudio) and id(frame) not in self._ids:
            self._ids.add(id(frame))
            self.seen.append((now, frame))


async def call(
    agent: Agent,
    script: Sequence[Step] | ScriptedCaller,
    *,
    params: PipelineParams | None = None,
    context: LLMContext | None = None,
    observers: Sequence[Observer] = (),
) -> CallRecord:
    """Let a scripted caller call `agent`, and wait until the call is over.

    On a virtual loop a minute takes some tens of milliseconds; on a real one, a minute.

    Args:
        agent: Who is called.
        script: What the caller does; at its end the agent may finish, then the call is over.
        params: Options of the pipeline.
        context: A conversation that goes on; a new one if left out.
        observers: Who watches frames pass.

    Raises:
        AssertionError: The caller waited for the agent in vain (see `Listen`).
        StageError: A stage raised; what was said until then stands in the notes.
    """
    params = params or PipelineParams()
    caller = script if isinstance(script, ScriptedCaller) else _caller(script, params)
    context = agent.new_context() if context is None else context
    trace = _Trace(caller.output())
    task = agent.task(
        caller.input(), caller.output(), params, context=context, observers=[trace, *observers]
    )

    def record() -> CallRecord:
        ended = asyncio.get_running_loop().time()
        return _record(caller, trace, context.messages, task.outcome or "failed", ended)

    try:
        await task.run()
    except AntiphonError as error:
        error.add_note(str(record()))
        if isinstance(error, StageError) and isinstance(error.__cause__, AssertionError):
            raise AssertionError(f"{error.__cause__}\n{record()}") from None
        raise
    return record()


def _caller(script: Sequence[Step], params: PipelineParams) -> ScriptedCaller:
    wire = ScriptedWire(AudioFormat(params.audio_out_sample_rate))
    return ScriptedCaller(script, audio_in=AudioFormat(params.audio_in_sample_rate), wire=wire)


def _record(
    caller: ScriptedCaller,
    trace: _Trace,
    messages: tuple[Message, ...],
    outcome: Outcome,
    ended: float,
) -> CallRecord:
    wire, began = caller.wire, caller.wire.began

    def since(at: float) -> float:
        return round(at - began, 9)

    return CallRecord(
        outcome=outcome,
        seconds=since(ended),
        agent_spans=tuple((since(start), since(end)) for start, end in wire.spans(ended)),
        caller_spans=tuple(
            (since(at), since(at + caller.audio_in.seconds(len(pcm)))) for at, pcm in caller.spoken
        ),
        events=tuple((since(at), event) for at, event in wire.events),
        frames=tuple((since(at), frame) for at, frame in trace.seen),
        messages=messages,
        _caller=caller,
    )
