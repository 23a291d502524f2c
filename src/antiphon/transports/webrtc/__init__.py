"""The WebRTC transport: Opus over SRTP, events over a data channel.

`WebRTCTransport` over an `Engine`, which speaks ICE, DTLS and RTP; `AiortcEngine` is one. The
libraries behind them are imported when an engine is made. Must not know the agent.
"""

from __future__ import annotations

from antiphon.transports.webrtc.aiortc_engine import AiortcEngine
from antiphon.transports.webrtc.engine import Engine, EngineListener
from antiphon.transports.webrtc.transport import WebRTCTransport

__all__ = ["AiortcEngine", "Engine", "EngineListener", "WebRTCTransport"]
