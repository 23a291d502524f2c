"""`Agent`: what a voice agent is, independent of the wire that it speaks over.

Holds the choice of services and options, and how they become stages. Must not run anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from antiphon.agent.floor import Floor
from antiphon.agent.tools import Tool
from antiphon.context import LLMContext
from antiphon.errors import OptionError
from antiphon.options import Declared
from antiphon.pipeline.observers import Observer
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.pipeline import Pipeline
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.task import PipelineTask
from antiphon.services.base.llm import LLM, LanguageModel
from antiphon.services.base.registry import resolve
from antiphon.services.base.stt import STT, SpeechToText
from antiphon.services.base.tts import TTS, TextToSpeech
from antiphon.services.base.turn import TurnDetector
from antiphon.services.base.vad import VAD, VoiceActivity
from antiphon.turns.endpointing import TurnOptions
from antiphon.turns.voice import VoiceOptions

__all__ = ["Agent"]


class Agent(Declared):
    """A voice agent. One object serves any number of sessions at once.

    Services are given by name, ``"NAME"`` or ``"NAME/MODEL"``, or as objects. The defaults run on
    this machine, offline and without a key.

    Args:
        instructions: What it is, what it knows, how it speaks.
        greeting: What it says first; nothing if empty.
        llm: Answers. The default finds the sentence of `instructions` that answers best.
        stt: Hears.
        tts: Speaks.
        vad: Detects voices.
        turn_detector: Judges whether a turn is complete; None: silence alone decides.
        tools: Functions that it may call.
        turns: Options of turn-taking.
        voice: When a voice has started and stopped.

    Raises:
        OptionError: An option does not exist, or no service has that name.
    """

    def __init__(
        self,
        *,
        instructions: str = "",
        greeting: str = "",
        llm: str | LLM = "retrieval",
        stt: str | STT = "whisper/tiny.en",
        tts: str | TTS = "hibari",
        vad: str | VAD = "silero",
        turn_detector: str | TurnDetector | None = "smart-turn",
        tools: Sequence[Tool] = (),
        turns: TurnOptions | None = None,
        voice: VoiceOptions | None = None,
    ) -> None:
        names = [tool.name for tool in tools]
        if len(set(names)) < len(names):
            raise OptionError("Agent: two tools have the same name")
        self.instructions = instructions
        self.greeting = greeting
        self.tools = tuple(tools)
        self.turns = turns or TurnOptions()
        self.voice = voice or VoiceOptions()
        self.vad = resolve("vad", vad, VAD)  # type: ignore[type-abstract]
        self.stt = resolve("stt", stt, STT)  # type: ignore[type-abstract]
        self.llm = resolve("llm", llm, LLM)  # type: ignore[type-abstract]
        self.tts = resolve("tts", tts, TTS)  # type: ignore[type-abstract]
        self.turn_detector = (
            resolve("turn", turn_detector, TurnDetector)  # type: ignore[type-abstract]
            if turn_detector is not None
            else None
        )

    def new_context(self) -> LLMContext:
        """An empty conversation with this agent."""
        return LLMContext(self.instructions, tools=[tool.describe() for tool in self.tools])

    def stages(self, context: LLMContext | None = None) -> list[FrameProcessor]:
        """The stages of one session, to put between a transport's input and output.

        Args:
            context: The conversation that goes on; a new one if left out.
        """
        services = {"stt": self.stt, "llm": self.llm, "tts": self.tts, "turn": self.turn_detector}
        owners = {kind: service.name for kind, service in services.items() if service}
        return [
            VoiceActivity(self.vad, self.voice),
            SpeechToText(self.stt),
            Floor(
                self.new_context() if context is None else context,
                detectors=[self.turn_detector] if self.turn_detector else [],
                tools=self.tools,
                options=self.turns,
                greeting=self.greeting,
                owners=owners,
            ),
            LanguageModel(self.llm),
            TextToSpeech(self.tts),
        ]

    def task(
        self,
        input: FrameProcessor,
        output: FrameProcessor,
        params: PipelineParams | None = None,
        *,
        context: LLMContext | None = None,
        observers: Sequence[Observer] = (),
    ) -> PipelineTask:
        """One session: the task that runs this agent between a transport's two ends."""
        pipeline = Pipeline([input, *self.stages(context), output])
        return PipelineTask(pipeline, params, observers=observers)

    async def prewarm(self) -> None:
        """Load every model and connect every service, all at once.

        Raises:
            ModelError: A model's files are missing or damaged.
            RemoteError: A provider refuses.
        """
        services = [self.vad, self.stt, self.llm, self.tts, self.turn_detector]
        try:
            async with asyncio.TaskGroup() as group:
                for service in services:
                    if service is not None:
                        group.create_task(service.prewarm())
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
            raise first from first.__cause__
