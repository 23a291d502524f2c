"""The embedded services pass the suites of their contracts, on a real loop with real threads."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from antiphon.context import LLMContext, Message, ToolDescription
from antiphon.models.hibari import HibariTTS
from antiphon.models.retrieval import RetrievalLLM
from antiphon.models.silero import SileroVAD
from antiphon.models.smart_turn import SmartTurn
from antiphon.models.smollm import SmolLM
from antiphon.models.store import State, Store
from antiphon.models.whisper import WhisperSTT
from antiphon.services.base import TurnSoFar
from antiphon.testing.conformance import (
    LLMConformance,
    STTConformance,
    TTSConformance,
    TurnDetectorConformance,
    VADConformance,
)
from support.spoken import said, silence

pytestmark = pytest.mark.real_time

# What stops within 50 ms on a quiet machine may be kept waiting by others on a busy one.
BUSY = 0.5

HOURS = "What time do you open on Saturday?"
TYRE = "How much does it cost to repair a flat tire?"


class TestSilero(VADConformance):
    answers_within = BUSY

    def make(self):
        return SileroVAD()

    def speech(self):
        return said("What are your opening hours on Saturday, please?")


class TestSmartTurn(TurnDetectorConformance):
    stops_within = BUSY

    def make(self):
        return SmartTurn()

    def complete(self):
        return TurnSoFar(said(HOURS) + silence(0.15), HOURS, "")

    def incomplete(self):
        words = "I was wondering if you could, uh"
        return TurnSoFar(said(words) + silence(0.15), words, "")


class TestWhisper(STTConformance):
    stops_within = BUSY
    pace = 0.0

    def make(self):
        return WhisperSTT()

    def speech(self):
        return said(HOURS), HOURS

    def more_speech(self):
        return said(TYRE), TYRE


class TestHibari(TTSConformance):
    stops_within = BUSY

    def make(self):
        return HibariTTS()


class TestRetrieval(LLMConformance):
    stops_within = BUSY

    def make(self):
        return RetrievalLLM(["We are open from nine to six.", "A flat tire costs 15 dollars."])

    def tool_conversation(self):
        schema = {
            "type": "object",
            "properties": {"number": {"type": "string", "description": "The order number"}},
            "required": ["number"],
        }
        tool = ToolDescription("order_status", "Tells where an order is. Where is it?", schema)
        asked = Message("user", "Where is my order number 4512?")
        return LLMContext("", tools=[tool], messages=[asked])


@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the extra smollm is not installed")
@pytest.mark.skipif(
    Store().state("smollm2-135m") is not State.READY,
    reason="not in the store: antiphon models pull smollm2-135m",
)
class TestSmolLM(LLMConformance):
    stops_within = BUSY

    def make(self):
        return SmolLM(max_tokens=20)
