"""What the far side is told besides sound: frames as JSON events.

The same events go over the WebSocket and over a data channel. Milliseconds and dictionaries exist
only here, at the edge.
"""

from __future__ import annotations

from typing import Any

from antiphon.frames import (
    AgentText,
    Frame,
    ServiceFailed,
    StateChanged,
    ToolCallEnded,
    Transcript,
    TurnCommitted,
    TurnMeasured,
    UsageReported,
    WaterfallPart,
)

__all__ = ["CLEAR", "error_event", "event_of", "part_as_json"]

CLEAR: dict[str, Any] = {"type": "clear"}
"""The person interrupted: the client drops the sound that it has not played."""


def event_of(frame: Frame) -> dict[str, Any] | None:
    """The event that tells the far side of `frame`; None if it is not told."""
    match frame:
        case Transcript(text=text) if text:
            return {"type": "transcript", "role": "user", "text": text, "final": False}
        case TurnCommitted(text=text):
            return {"type": "transcript", "role": "user", "text": text, "final": True}
        case AgentText():
            return {
                "type": "transcript",
                "role": "agent",
                "text": frame.text,
                "final": frame.final,
                "interrupted": frame.interrupted,
            }
        case StateChanged(state=state):
            return {"type": "state", "state": state.value}
        case TurnMeasured():
            return {
                "type": "metrics",
                "turn": frame.turn,
                "voice_to_voice_ms": _milliseconds(sum(part.seconds for part in frame.parts)),
                "parts": [part_as_json(part) for part in frame.parts],
            }
        case ToolCallEnded():
            return {
                "type": "tool",
                "name": frame.call.name,
                "ms": _milliseconds(frame.seconds),
                "failed": frame.failed,
            }
        case UsageReported(service=service, usage=usage):
            return {
                "type": "usage",
                "service": service,
                "input_tokens": usage.input_tokens,
                "cached_tokens": usage.cached_tokens,
                "output_tokens": usage.output_tokens,
                "characters": usage.characters,
                "audio_seconds": usage.audio_seconds,
                "estimated": usage.estimated,
            }
        case ServiceFailed(code=code, problem=problem):
            return error_event(code, problem)
    return None


def error_event(code: str, problem: str) -> dict[str, Any]:
    """The event that tells the far side what went wrong and who can mend it."""
    return {"type": "error", "code": code, "message": problem}


def part_as_json(part: WaterfallPart) -> dict[str, Any]:
    """A part of the waterfall as users read it: name, milliseconds, owner, setting."""
    return {
        "name": part.name,
        "ms": _milliseconds(part.seconds),
        "owner": part.owner,
        "setting": part.setting,
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
