"""Conversations in virtual time, and what a test of a voice agent needs.

Only re-exports, each loaded when it is first asked for: pytest imports this package at start-up
in every project that has antiphon installed. Must not import anything by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.testing.cancellation import cancel_at_every_step
    from antiphon.testing.loop_errors import Deadlock, Livelock, NotVirtual, TimeLimitReached
    from antiphon.testing.scripted_call import CallRecord, Said, call
    from antiphon.testing.scripted_caller import (
        HangUp,
        Listen,
        Pause,
        ScriptedCaller,
        Speak,
        Write,
    )
    from antiphon.testing.scripted_hearing import ScriptedSTT, ScriptedTurnDetector, ScriptedVAD
    from antiphon.testing.scripted_speaking import Generation, ScriptedLLM, ScriptedTTS, Speech
    from antiphon.testing.scripted_wire import ScriptedWire
    from antiphon.testing.sound import tone
    from antiphon.testing.virtual_time import LoopStatistics, VirtualLoop, run

__all__ = [
    "CallRecord",
    "Deadlock",
    "Generation",
    "HangUp",
    "Listen",
    "Livelock",
    "LoopStatistics",
    "NotVirtual",
    "Pause",
    "Said",
    "ScriptedCaller",
    "ScriptedLLM",
    "ScriptedSTT",
    "ScriptedTTS",
    "ScriptedTurnDetector",
    "ScriptedVAD",
    "ScriptedWire",
    "Speak",
    "Speech",
    "TimeLimitReached",
    "VirtualLoop",
    "Write",
    "call",
    "cancel_at_every_step",
    "run",
    "tone",
]

_HOMES = {
    "cancellation": ("cancel_at_every_step",),
    "loop_errors": ("Deadlock", "Livelock", "NotVirtual", "TimeLimitReached"),
    "scripted_call": ("CallRecord", "Said", "call"),
    "scripted_caller": ("HangUp", "Listen", "Pause", "ScriptedCaller", "Speak", "Write"),
    "scripted_hearing": ("ScriptedSTT", "ScriptedTurnDetector", "ScriptedVAD"),
    "scripted_speaking": ("Generation", "ScriptedLLM", "ScriptedTTS", "Speech"),
    "scripted_wire": ("ScriptedWire",),
    "sound": ("tone",),
    "virtual_time": ("LoopStatistics", "VirtualLoop", "run"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
