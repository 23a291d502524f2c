"""Suites that every implementation of a contract must pass, ours and anyone's.

Subclass one in a test module and say how the service is made; pytest then collects its tests::

    from antiphon.testing.conformance import TTSConformance

    class TestMyVoice(TTSConformance):
        def make(self):
            return MyVoice()

The tests are coroutines: they run in virtual time where ``antiphon_virtual_time`` is on or the
class is marked ``virtual_time``; a service that needs threads or sockets of its own is marked
``@pytest.mark.real_time``. Only re-exports.
"""

from antiphon.testing.conformance.llm import LLMConformance
from antiphon.testing.conformance.stt import STTConformance
from antiphon.testing.conformance.transport import TransportConformance
from antiphon.testing.conformance.transport_session import FarSide, Transport
from antiphon.testing.conformance.tts import TTSConformance
from antiphon.testing.conformance.turn import TurnDetectorConformance
from antiphon.testing.conformance.vad import VADConformance

__all__ = [
    "FarSide",
    "LLMConformance",
    "STTConformance",
    "TTSConformance",
    "Transport",
    "TransportConformance",
    "TurnDetectorConformance",
    "VADConformance",
]
