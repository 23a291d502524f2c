"""antiphon: real-time voice agents, tested to the millisecond.

Holds the names that make an agent, each loaded when it is first asked for. Must not import anything
by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.agent.agent import Agent
    from antiphon.agent.tools import Tool
    from antiphon.context import LLMContext
    from antiphon.errors import AntiphonError, OptionError
    from antiphon.pipeline.params import PipelineParams
    from antiphon.pipeline.pipeline import Pipeline
    from antiphon.pipeline.processor import FrameProcessor
    from antiphon.pipeline.runner import PipelineRunner
    from antiphon.pipeline.task import PipelineTask
    from antiphon.turns.endpointing import TurnOptions
    from antiphon.turns.voice import VoiceOptions

__all__ = [
    "Agent",
    "AntiphonError",
    "FrameProcessor",
    "LLMContext",
    "OptionError",
    "Pipeline",
    "PipelineParams",
    "PipelineRunner",
    "PipelineTask",
    "Tool",
    "TurnOptions",
    "VoiceOptions",
]

_HOMES = {
    "agent.agent": ("Agent",),
    "agent.tools": ("Tool",),
    "context": ("LLMContext",),
    "errors": ("AntiphonError", "OptionError"),
    "pipeline.params": ("PipelineParams",),
    "pipeline.pipeline": ("Pipeline",),
    "pipeline.processor": ("FrameProcessor",),
    "pipeline.runner": ("PipelineRunner",),
    "pipeline.task": ("PipelineTask",),
    "turns.endpointing": ("TurnOptions",),
    "turns.voice": ("VoiceOptions",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
