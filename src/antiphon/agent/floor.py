"""`Floor`: the stage around the turn machine.

It tells the machine what happens and carries out what it orders: it opens and closes the scopes of
replies, enters in the conversation what was said and heard, and measures the turn. Must not decide
anything about turns: that is `antiphon.turns`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from antiphon.agent.driver import MachineDriver
from antiphon.agent.hearing import Hearing
from antiphon.agent.stopwatch import Stopwatch
from antiphon.agent.tools import Tool, Toolbox
from antiphon.audio.formats import WIDEBAND
from antiphon.context import LLMContext, Message, ToolCall
from antiphon.frames import (
    AgentState,
    AgentText,
    Direction,
    End,
    Frame,
    PlaybackEnded,
    PlaybackStarted,
    ReplyRequested,
    ServiceFailed,
    StateChanged,
    TextDelta,
    TextEnded,
    ToolCallRequested,
    Transcript,
    TurnCommitted,
    TurnMeasured,
    TurnScored,
    TypedText,
    UserAudio,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import ReplyScope
from antiphon.services.base.turn import TurnDetector
from antiphon.turns.endpointing import TurnOptions
from antiphon.turns.events import Event, ReplyFailed, SayRequested, ToolEnded, ToolStarted
from antiphon.turns.machine import TurnMachine
from antiphon.turns.orders import (
    AskCompleteness,
    CancelReply,
    CommitReply,
    CommitTurn,
    FinishReply,
    Order,
    ReportStuck,
    StartReply,
    StopReply,
    WithdrawTurn,
)
from antiphon.turns.state import Phase

__all__ = ["Floor"]

_STATES = {
    Phase.LISTENING: AgentState.LISTENING,
    Phase.HEARING: AgentState.LISTENING,
    Phase.SETTLING: AgentState.LISTENING,
    Phase.THINKING: AgentState.THINKING,
    Phase.SPEAKING: AgentState.SPEAKING,
}

_MOST_TOOL_ROUNDS = 4
"""How often one reply may ask for functions again; a model that never stops is stopped here."""


class Floor(FrameProcessor):
    """Holds the floor of one session: between the speech-to-text and the language model stage.

    Args:
        context: The conversation; what is said and heard is entered in it.
        detectors: Asked at each pause whether the turn is complete; the lowest answer counts.
        tools: Functions that the model may call.
        options: Of turn-taking.
        greeting: What the agent says first; nothing if empty.
        owners: Names of the services, for the waterfall: keys ``stt``, ``llm``, ``tts``,
            ``turn``.
    """

    user_audio_needed = WIDEBAND

    def __init__(
        self,
        context: LLMContext,
        *,
        detectors: Sequence[TurnDetector] = (),
        tools: Sequence[Tool] = (),
        options: TurnOptions | None = None,
        greeting: str = "",
        owners: Mapping[str, str] | None = None,
    ) -> None:
        self.context = context
        self._driver = MachineDriver(TurnMachine(options), self._carry_out, self.guard)
        self._hearing = Hearing(detectors)
        self._toolbox = Toolbox(tools)
        self._greeting = greeting
        self._stopwatch = Stopwatch(owners or {})
        self._scope: ReplyScope | None = None
        self._calls: list[ToolCall] = []
        self._rounds = 0
        self._scoring: asyncio.Task[None] | None = None
        self._state = AgentState.LISTENING
        self._end: End | None = None

    @property
    def _machine(self) -> TurnMachine:
        return self._driver.machine

    # ---- the stage ----------------------------------------------------------------------

    async def setup(self) -> None:
        """Load the turn detectors and take over what the pipeline allows."""
        if not self.task.params.allow_interruptions:
            options = replace(self._machine.options, allow_interruptions=False)
            self._driver.machine = TurnMachine(options)
        await self._hearing.prewarm()

    def started(self) -> None:
        """Greet, if there is a greeting."""
        if self._greeting:
            self._tell(SayRequested(self._greeting, is_greeting=True))

    async def cleanup(self) -> None:
        """The session is over: enter what was heard of a reply that it cut off."""
        self._driver.stop()
        if self._scope is not None:
            self._enter_heard(self._scope, interrupted=True)
            self._scope = None

    def say(self, text: str) -> None:
        """Say `text` as soon as the floor is free."""
        self._tell(SayRequested(text))

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand everything on, and tell the machine what it should know.

        `End` waits until the person's last turn has been answered.
        """
        if isinstance(frame, End) and direction is Direction.DOWN:
            self._end = frame
            self._end_if_free()
            return
        self.push(frame, direction)
        if isinstance(frame, UserAudio):
            # Fifty times a second: it shall not pass all the questions below.
            self._hearing.add(frame.pcm)
            return
        self._stopwatch.note(frame, self.now)
        match frame:
            case VoiceStarted():
                self._hearing.begin()
                self._tell(frame)
            case VoiceStopped() | Transcript() | TypedText():
                self._tell(frame)
            case ServiceFailed(reply=int(reply)):
                self._tell(ReplyFailed(reply))
            case PlaybackStarted():
                self._measure(frame.reply)
                self._tell(frame)
            case PlaybackEnded():
                self._tell(frame)
            case ToolCallRequested(call=call) if self._is_current(frame.reply):
                self._calls.append(call)
            case TextEnded() if direction is Direction.UP and self._is_current(frame.reply):
                self._run_calls(frame.reply)

    # ---- the machine --------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        self._driver.tell(event)

    def _carry_out(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self._obey(order)
        state = _STATES[self._machine.phase]
        if state is not self._state:
            self._state = state
            self.push(StateChanged(state))
        self._end_if_free()

    def _end_if_free(self) -> None:
        if self._end is not None and self._machine.phase is Phase.LISTENING:
            end, self._end = self._end, None
            self.push(end)

    def _obey(self, order: Order) -> None:
        match order:
            case AskCompleteness(pause=pause):
                self._ask(pause)
            case CommitTurn(turn=turn, text=text):
                self._commit_turn(turn, text)
            case WithdrawTurn():
                self.context.withdraw_user_turn()
            case StartReply():
                self._start(order)
            case CommitReply(reply=reply) if self._is_current(reply):
                assert self._scope is not None
                self._scope.commit()
            case CancelReply() | StopReply() | FinishReply():
                self._close(interrupted=isinstance(order, StopReply))
            case ReportStuck():
                seconds = self._machine.options.reply_timeout
                problem = f"no sound within {seconds:g} s (TurnOptions.reply_timeout)"
                self.push(ServiceFailed("reply", "no-answer", problem))

    # ---- the person's turn --------------------------------------------------------------

    def _ask(self, pause: int) -> None:
        if self._scoring is not None:
            self._scoring.cancel()
            self._scoring = None
        if not self._hearing.has_detectors:
            self._tell(TurnScored(pause, None))
            return
        self._scoring = self.start_task(self._score, pause)

    async def _score(self, pause: int) -> None:
        last = self.context.last("assistant")
        words = " ".join(segment.text for segment in self._machine.state.pending)
        probability, failures = await self._hearing.score(words, last.text if last else "")
        for failure in failures:
            self.push(failure)
        scored = TurnScored(pause, probability)
        self._stopwatch.note(scored, self.now)
        self._tell(scored)

    def _commit_turn(self, turn: int, text: str) -> None:
        self._stopwatch.committed(self.now)
        self.context.append(Message("user", text))
        committed = TurnCommitted(text, turn)
        self.push(committed, Direction.UP)
        self.push(committed)
        self._hearing.forget()

    # ---- the reply ----------------------------------------------------------------------

    def _is_current(self, reply: int) -> bool:
        return self._scope is not None and self._scope.number == reply

    def _start(self, order: StartReply) -> None:
        self._scope = self.task.replies.open(order.reply)
        self._calls, self._rounds = [], 0
        if order.script is None:
            self.push(ReplyRequested(order.reply, self.context.copy()))
        else:
            self.push(TextDelta(order.reply, order.script))
            self.push(TextEnded(order.reply))

    def _close(self, *, interrupted: bool) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.close()
            self._enter_heard(scope, interrupted=interrupted)

    def _enter_heard(self, scope: ReplyScope, *, interrupted: bool) -> None:
        heard = scope.ledger.heard()
        if heard:
            self.context.append(Message("assistant", heard, interrupted=interrupted))
            self.push(AgentText(scope.number, heard, final=True, interrupted=interrupted))

    def _measure(self, reply: int) -> None:
        if not self._is_current(reply) or not self.task.params.enable_metrics:
            return
        assert self._scope is not None
        parts = self._stopwatch.measure(self._scope.marks)
        if parts and self._machine.state.saying is None:
            self.push(TurnMeasured(self._machine.state.turn, parts))

    # ---- tools --------------------------------------------------------------------------

    def _run_calls(self, reply: int) -> None:
        calls, self._calls = self._calls, []
        if not calls:
            return
        self._rounds += 1
        self._tell(ToolStarted(reply))
        self.start_task(self._call_all, reply, tuple(calls))

    async def _call_all(self, reply: int, calls: tuple[ToolCall, ...]) -> None:
        """Run calls one after the other, and let the model go on with their results."""
        async with aclosing(self._toolbox.run(reply, calls)) as ends:
            async for ended in ends:
                self.context.append(Message("assistant", "", calls=(ended.call,)))
                self.context.append(Message("tool", ended.result, call_id=ended.call.id))
                self.push(ended)
        self._tell(ToolEnded(reply))
        if not self._is_current(reply):
            return
        if self._rounds < _MOST_TOOL_ROUNDS:
            self.push(ReplyRequested(reply, self.context.copy()))
        else:
            self.push(ServiceFailed("tools", "tool-rounds", "the model asks for tools for ever"))
            self.push(TextEnded(reply))
