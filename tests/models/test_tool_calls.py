from __future__ import annotations

import pytest

from antiphon.context import LLMContext, Message, ToolCall, ToolDescription
from antiphon.models.tool_calls import asked_tool, call_or_ask, unspoken_results

RULES = {
    "number": {"type": "string", "description": "The order number"},
    "size": {"enum": ["small", "large"], "description": "The size"},
}
TOOL = ToolDescription("f", "", {"properties": RULES, "required": ["number", "size"]})
EMPTY = LLMContext(tools=[TOOL])


def test_the_newest_words_win():
    words = ["small, order 4512", "no, order 4513"]
    assert call_or_ask(TOOL, EMPTY, words) == ToolCall(
        "call_1", "f", {"number": "4513", "size": "small"}
    )


def test_the_first_that_is_missing_is_asked_for():
    assert call_or_ask(TOOL, EMPTY, ["hello"]) == "Which order number?"
    assert call_or_ask(TOOL, EMPTY, ["order 4512"]) == "Which size: small or large?"


@pytest.mark.parametrize(
    ("said", "is_asked"),
    [
        ("Which order number?", True),
        ("It ships tomorrow. Which order number?", True),
        ("Which order", True),
        ("Which size: small or large?", True),
        ("Which order number? Never mind.", False),
        ("Hello.", False),
        ("", False),
    ],
)
def test_what_was_asked(said, is_asked):
    context = LLMContext(tools=[TOOL], messages=[Message("assistant", said)])
    assert (asked_tool(context) is TOOL) == is_asked


def test_nothing_was_asked_yet():
    assert asked_tool(EMPTY) is None


def test_results_are_given_once_and_in_order():
    calls = (ToolCall("a", "f", {}), ToolCall("b", "f", {}))
    said = [
        Message("tool", "old", call_id="x"),
        Message("assistant", "Old."),
        Message("user", "Hm."),
        Message("assistant", "", calls=calls),
        Message("tool", "one", call_id="a"),
        Message("tool", "The function f failed: OSError.", call_id="b"),
        Message("user", "Well?"),
    ]
    assert unspoken_results(LLMContext(messages=said)) == [
        "one",
        "Sorry, I could not look that up just now.",
    ]
    assert unspoken_results(LLMContext(messages=[*said, Message("assistant", "One.")])) == []
