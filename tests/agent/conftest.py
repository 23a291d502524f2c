from __future__ import annotations

import pytest

from antiphon import Agent
from antiphon.testing import (
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedVAD,
)

# The clock of all tests here, unless a test says otherwise. The voice detector's windows are the
# packets of 20 ms: a voice is told 0.08 s after it began, a silence 0.1 s after it did. A pause is
# scored 0.03 s later as surely over, words are final 0.05 s after the voice was told to be over,
# and so the turn is taken 0.2 s into the silence (TurnOptions.min_wait). The reply's text is there
# 0.2 s after that, its first sound 0.12 s later, and each character of it lasts 0.1 s.
REPLY_AFTER = 0.52
"""Seconds from the person's last sound to the agent's first."""


@pytest.fixture
def make_agent():
    """Make an agent of fakes; each may be replaced."""

    def make(words=("what are your hours",), replies=("Yes, we are open now",), **options):
        services = {
            "llm": ScriptedLLM([[reply] if isinstance(reply, str) else reply for reply in replies]),
            "stt": ScriptedSTT(words, final_after=0.05),
            "tts": ScriptedTTS(characters_per_second=10),
            "vad": ScriptedVAD(),
            "turn_detector": ScriptedTurnDetector(1.0),
            "instructions": "You answer the telephone.",
        }
        return Agent(**{**services, **options})

    return make


@pytest.fixture
def said():
    """The conversation as pairs of role and text; an interrupted text ends with a dash."""

    def pairs(messages):
        return [
            (message.role, message.text + " -" * message.interrupted)
            for message in messages
            if not message.calls
        ]

    return pairs
