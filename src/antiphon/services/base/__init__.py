"""The contracts of services, and the stages that run them.

The author of a provider writes an async generator; starting, cancelling, marking times and
reporting usage live here, once. Must not know any provider.
"""

from antiphon.services.base.llm import LLM, LanguageModel, LLMOutput
from antiphon.services.base.service import Service
from antiphon.services.base.stt import STT, SpeechToText, STTInput
from antiphon.services.base.tts import TTS, SpeechChunk, TextToSpeech
from antiphon.services.base.turn import TurnDetector, TurnSoFar
from antiphon.services.base.vad import VAD, VADStream, VoiceActivity

__all__ = [
    "LLM",
    "STT",
    "TTS",
    "VAD",
    "LLMOutput",
    "LanguageModel",
    "STTInput",
    "Service",
    "SpeechChunk",
    "SpeechToText",
    "TextToSpeech",
    "TurnDetector",
    "TurnSoFar",
    "VADStream",
    "VoiceActivity",
]
