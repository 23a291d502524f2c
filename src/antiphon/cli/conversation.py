"""A conversation as it is told afterwards: turn by turn, from the frames that pass the output.

Holds the observer and the turns that it makes, and their JSON. Must not print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from antiphon.frames import (
    AgentState,
    AgentText,
    Direction,
    Frame,
    ReplyRequested,
    ServiceFailed,
    SpeechPiece,
    StateChanged,
    ToolCallEnded,
    Transcript,
    TurnCommitted,
    TurnMeasured,
    WaterfallPart,
)
from antiphon.pipeline.observers import Observer
from antiphon.pipeline.task import PipelineTask
from antiphon.transports.events import part_as_json

__all__ = ["Conversation", "Turn", "View", "turn_as_json"]


@dataclass(slots=True)
class Turn:
    """What the person said and what the agent answered.

    Attributes:
        user: Words of the person; "" where the agent spoke by itself.
        agent: What was heard of the answer.
        unheard: What was cut off of it.
        interrupted: The person cut the answer off.
        parts: Where the time went until the answer was heard; empty if it was not measured.
        tools: Functions that ran for the answer.
        failed: A service failed meanwhile.
    """

    user: str
    agent: str = ""
    unheard: str = ""
    interrupted: bool = False
    parts: tuple[WaterfallPart, ...] = ()
    tools: list[ToolCallEnded] = field(default_factory=list)
    failed: bool = False


class View:
    """Who shows the conversation while it happens. The default shows nothing."""

    def hearing(self, words: str) -> None:
        """The person is saying `words`, as far as they are understood."""

    def state(self, state: AgentState) -> None:
        """The agent does something else now."""

    def asked(self, turn: Turn) -> None:
        """The person's turn is settled: the answer begins to be heard, or failed."""

    def saying(self, words: str) -> None:
        """The agent is saying `words`, as far as its answer is made."""

    def answered(self, turn: Turn) -> None:
        """The turn is complete."""

    def failed(self, problem: ServiceFailed) -> None:
        """A service failed; the session goes on."""


class Conversation(Observer):
    """Makes turns of what passes into one session's output.

    A turn that the person took back by going on is not one: its words come again with the next.

    Args:
        view: Told of everything as it happens.

    Attributes:
        turns: Those that are complete.
        problems: Services that failed.
    """

    frames = (
        AgentText,
        ReplyRequested,
        ServiceFailed,
        SpeechPiece,
        StateChanged,
        ToolCallEnded,
        Transcript,
        TurnCommitted,
        TurnMeasured,
    )

    def __init__(self, view: View | None = None) -> None:
        self.turns: list[Turn] = []
        self.problems: list[ServiceFailed] = []
        self._view = view or View()
        self._open: Turn | None = None
        self._is_asked = False
        self._replies: dict[int, Turn] = {}
        self._pieces: dict[int, list[str]] = {}
        self._is_speaking = False

    def watch(self, task: PipelineTask) -> None:
        """Look at the last stage of `task`, before it runs."""
        self.stages = frozenset({task.pipeline.stages[-1].name})

    def on_frame(self, frame: Frame, direction: Direction, into: str, now: float) -> None:
        """Enter one frame."""
        match frame:
            case Transcript(text=text) if text.strip():
                self._view.hearing(text)
            case StateChanged(state=state):
                self._change(state)
            case TurnCommitted(text=text):
                self._begin(text)
            case ReplyRequested(reply=reply):
                self._replies[reply] = self._current()
            case SpeechPiece(reply=reply, text=text):
                self._pieces.setdefault(reply, []).append(text)
                self._tell_saying()
            case TurnMeasured(parts=parts):
                self._current().parts = parts
            case AgentText():
                self._agent(frame)
            case ToolCallEnded(reply=reply):
                self._replies.get(reply, self._current()).tools.append(frame)
            case ServiceFailed():
                self._fail(frame)

    def close(self) -> None:
        """The session is over: what is still open is complete now."""
        if self._open is not None:
            self._finish(self._open)

    # ---- its parts ----------------------------------------------------------------------

    def _current(self) -> Turn:
        """The turn under way; one without words of the person if there is none."""
        if self._open is None:
            self._open, self._is_asked = Turn(""), False
        return self._open

    def _begin(self, text: str) -> None:
        before, self._open = self._open, None
        turn = Turn(text)
        if before is not None and _is_withdrawn(before, text):
            # Functions that ran for it have run: their effects are real.
            turn.tools = before.tools
            self._replies = {n: turn if t is before else t for n, t in self._replies.items()}
        elif before is not None:
            self._finish(before)
        self._open, self._is_asked = turn, False
        self._view.hearing(text)

    def _change(self, state: AgentState) -> None:
        self._is_speaking = state is AgentState.SPEAKING
        self._view.state(state)
        if self._is_speaking:
            if self._open is not None:
                self._ask(self._open)
            self._tell_saying()

    def _tell_saying(self) -> None:
        if self._is_speaking and self._pieces:
            self._view.saying(" ".join(self._pieces[max(self._pieces)]))

    def _agent(self, frame: AgentText) -> None:
        turn = self._replies.get(frame.reply)
        if turn is None:
            # The agent says a given text, such as a greeting: it answers nobody.
            if self._open is not None and self._open.user:
                self._finish(self._open)
            turn = self._replies[frame.reply] = self._current()
        turn.agent, turn.interrupted = frame.text, frame.interrupted
        if frame.interrupted:
            turn.unheard = _rest(self._pieces.get(frame.reply, ()), frame.text)
        self._finish(turn)

    def _fail(self, frame: ServiceFailed) -> None:
        self.problems.append(frame)
        if self._open is not None:
            self._open.failed = True
            if frame.reply is not None:
                self._ask(self._open)
        self._view.failed(frame)

    def _ask(self, turn: Turn) -> None:
        if turn is self._open and not self._is_asked:
            self._is_asked = True
            self._view.asked(turn)

    def _finish(self, turn: Turn) -> None:
        self._ask(turn)
        if turn is self._open:
            self._open = None
        self._pieces.clear()
        self.turns.append(turn)
        self._view.answered(turn)


def _is_withdrawn(turn: Turn, text: str) -> bool:
    """Whether the person went on before anything of the answer to `turn` was heard."""
    is_unanswered = not (turn.agent or turn.parts or turn.failed)
    return is_unanswered and bool(turn.user) and text.startswith(turn.user)


def _rest(pieces: Sequence[str], heard: str) -> str:
    """What of the text was not heard; `heard` ends at a word."""
    return " ".join(" ".join(pieces).split()[len(heard.split()) :])


def turn_as_json(turn: Turn) -> dict[str, Any]:
    """A turn as other programs read it; the parts sum to ``voice_to_voice_ms``."""
    parts = [part_as_json(part) for part in turn.parts]
    return {
        "user": turn.user,
        "agent": turn.agent,
        "interrupted": turn.interrupted,
        "voice_to_voice_ms": round(sum(part["ms"] for part in parts), 1) if parts else None,
        "parts": parts,
        "tools": [
            {
                "name": tool.call.name,
                "arguments": dict(tool.call.arguments),
                "result": tool.result,
                "ms": round(tool.seconds * 1000, 1),
                "failed": tool.failed,
            }
            for tool in turn.tools
        ],
    }
