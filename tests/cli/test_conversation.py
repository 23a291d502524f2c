from __future__ import annotations

import pytest

from antiphon.cli.conversation import Conversation, Turn, View, turn_as_json
from antiphon.context import LLMContext, ToolCall
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

PARTS = (WaterfallPart("transcript", 0.1004, "stt", "x"), WaterfallPart("output", 0.0204, "o", "y"))
FAILED = ServiceFailed("llm", "remote", "refused")


class Noted(View):
    def __init__(self):
        self.told: list[tuple[str, str]] = []

    def hearing(self, words):
        self.told.append(("hearing", words))

    def asked(self, turn: Turn):
        self.told.append(("asked", turn.user))

    def saying(self, words):
        self.told.append(("saying", words))

    def answered(self, turn: Turn):
        self.told.append(("answered", turn.agent))

    def failed(self, problem):
        self.told.append(("failed", problem.service))


def requested(reply: int) -> Frame:
    return ReplyRequested(reply, LLMContext())


def tool(reply: int, name: str = "order_status") -> ToolCallEnded:
    return ToolCallEnded(reply, ToolCall("1", name, {"number": "4512"}), "It ships.", 0.0123)


def said(reply: int, text: str, *, interrupted: bool = False) -> list[Frame]:
    return [
        StateChanged(AgentState.SPEAKING),
        AgentText(reply, text, final=True, interrupted=interrupted),
        StateChanged(AgentState.LISTENING),
    ]


def told(*frames: Frame, view: View | None = None) -> Conversation:
    conversation = Conversation(view)
    for frame in frames:
        conversation.on_frame(frame, Direction.DOWN, "SpeechOutput", 0.0)
    conversation.close()
    return conversation


def test_a_turn_from_words_to_answer():
    view = Noted()
    conversation = told(
        Transcript("Are you", False, 1),
        TurnCommitted("Are you open?", 1),
        requested(1),
        SpeechPiece(1, 0, "Yes."),
        TurnMeasured(1, PARTS),
        *said(1, "Yes."),
        view=view,
    )
    assert conversation.turns == [Turn("Are you open?", "Yes.", parts=PARTS)]
    assert view.told == [
        ("hearing", "Are you"),
        ("hearing", "Are you open?"),
        ("asked", "Are you open?"),
        ("saying", "Yes."),
        ("answered", "Yes."),
    ]


def test_what_was_cut_off_is_kept_apart():
    conversation = told(
        TurnCommitted("Are you open?", 1),
        requested(1),
        SpeechPiece(1, 0, "Yes, we are open"),
        SpeechPiece(1, 1, "from nine to six."),
        *said(1, "Yes, we are open from", interrupted=True),
        TurnCommitted("Stop.", 2),
        requested(2),
        *said(2, "Okay."),
    )
    first, second = conversation.turns
    assert (first.agent, first.unheard, first.interrupted) == (
        "Yes, we are open from",
        "nine to six.",
        True,
    )
    assert (second.agent, second.unheard, second.interrupted) == ("Okay.", "", False)


def test_a_turn_that_was_taken_back_comes_once_with_its_tools():
    conversation = told(
        TurnCommitted("Where is my order", 1),
        requested(1),
        tool(1),
        TurnCommitted("Where is my order 4512?", 2),
        requested(2),
        *said(2, "It ships."),
    )
    (turn,) = conversation.turns
    assert turn.user == "Where is my order 4512?"
    assert [ended.call.name for ended in turn.tools] == ["order_status"]


def test_a_tool_that_ends_late_goes_to_the_turn_that_asked_for_it():
    conversation = told(
        TurnCommitted("Where is my order", 1),
        requested(1),
        TurnCommitted("Where is my order 4512?", 2),
        requested(2),
        tool(1),
        *said(2, "It ships."),
    )
    assert len(conversation.turns[0].tools) == 1


def test_the_same_words_again_after_a_failure_are_another_turn():
    conversation = told(
        TurnCommitted("Hello", 1), requested(1), FAILED, TurnCommitted("Hello", 2), requested(2)
    )
    assert [(turn.user, turn.failed) for turn in conversation.turns] == [
        ("Hello", True),
        ("Hello", False),
    ]


def test_a_greeting_is_a_turn_without_a_person():
    conversation = told(
        *said(1, "Welcome."), TurnCommitted("Hi", 1), requested(2), *said(2, "Yes?")
    )
    assert [(turn.user, turn.agent) for turn in conversation.turns] == [
        ("", "Welcome."),
        ("Hi", "Yes?"),
    ]


def test_a_failure_between_turns_makes_none():
    view = Noted()
    conversation = told(FAILED, TurnCommitted("Hi", 1), requested(1), *said(1, "Yes?"), view=view)
    assert [turn.user for turn in conversation.turns] == ["Hi"]
    assert conversation.problems == [FAILED]
    assert view.told[0] == ("failed", "llm")


def test_an_unanswered_turn_is_told_at_the_end():
    view = Noted()
    conversation = told(TurnCommitted("Hi", 1), requested(1), view=view)
    assert conversation.turns == [Turn("Hi")]
    assert view.told[-2:] == [("asked", "Hi"), ("answered", "")]


def test_silence_makes_no_turn():
    assert told(Transcript("", True, 1)).turns == []


def test_json_sums_up():
    turn = Turn("Hi", "Yes?", interrupted=True, parts=PARTS, tools=[tool(1)])
    data = turn_as_json(turn)
    assert data == {
        "user": "Hi",
        "agent": "Yes?",
        "interrupted": True,
        "voice_to_voice_ms": 120.8,
        "parts": [
            {"name": "transcript", "ms": 100.4, "owner": "stt", "setting": "x"},
            {"name": "output", "ms": 20.4, "owner": "o", "setting": "y"},
        ],
        "tools": [
            {
                "name": "order_status",
                "arguments": {"number": "4512"},
                "result": "It ships.",
                "ms": 12.3,
                "failed": False,
            }
        ],
    }
    assert data["voice_to_voice_ms"] == pytest.approx(sum(part["ms"] for part in data["parts"]))


def test_json_of_a_turn_that_was_not_measured_has_no_time():
    assert turn_as_json(Turn("Hi"))["voice_to_voice_ms"] is None


def test_the_answer_is_shown_from_the_moment_it_is_heard_and_grows():
    view = Noted()
    told(
        TurnCommitted("Hi", 1),
        requested(1),
        SpeechPiece(1, 0, "Yes,"),
        StateChanged(AgentState.SPEAKING),
        SpeechPiece(1, 1, "we are."),
        view=view,
    )
    assert view.told[1:4] == [("asked", "Hi"), ("saying", "Yes,"), ("saying", "Yes, we are.")]
