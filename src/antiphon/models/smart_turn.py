"""Smart Turn: from its sound, whether a turn is complete.

Holds the service and its model. The wait that follows from its answer is decided in
`antiphon.turns`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from antiphon.audio.formats import to_float
from antiphon.models.manifest import Manifest
from antiphon.models.shared import Shared, onnx_session
from antiphon.models.store import Store
from antiphon.pipeline.offload import offload
from antiphon.services.base.turn import TurnDetector, TurnSoFar

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SmartTurn"]

_MODEL = "smart-turn"
_SAMPLES = 8 * 16_000
"""What the model listens to: the last 8 s. Source: the model's card, like the next one."""
_LEAST_VARIANCE = 1e-7


class SmartTurn(TurnDetector):
    """Judges whether a turn is complete with Smart Turn v3.2, from its sound alone.

    Ask it once for each pause, 100 to 200 ms into it: with more silence it takes cut sentences for
    complete ones. Source: measured: 26 % of them after 0 s of silence, 41 % after 0.2, 75 % after
    0.8.

    Args:
        store: Where the model lies; the user's own store unless given.
    """

    name = "smart-turn"

    def __init__(self, *, store: Store | None = None) -> None:
        store = store or Store()
        self._shared = _shared(store.folder, store.manifest)

    async def prewarm(self) -> None:
        """Load the model, once per process.

        Raises:
            ModelError: Its file is missing or damaged, or onnxruntime is not installed.
        """
        await self._shared.get()

    async def score(self, turn: TurnSoFar) -> float:
        """The probability, in [0, 1], that the person has finished. Takes 30 ms in a thread.

        When cancelled, the wait ends at once.

        Raises:
            ModelError: The model cannot be loaded.
        """
        engine = await self._shared.get()
        return await offload(engine.score, turn.pcm)


class _Engine:
    """The loaded model. Blocks; may be asked by several threads at once."""

    def __init__(self, path: Path) -> None:
        self._session: Any = onnx_session(path)
        self.score(bytes(2 * _SAMPLES))

    def score(self, pcm: bytes) -> float:
        """Judge mono s16le at 16 kHz, of any length."""
        import numpy as np

        from antiphon.models.mel import log_mel

        heard = to_float(pcm[-2 * _SAMPLES :])
        # The sound ends where the model's window ends; before it there is silence.
        samples = np.zeros(_SAMPLES, np.float32)
        samples[_SAMPLES - len(heard) :] = heard
        samples -= samples.mean()
        samples /= np.sqrt(np.square(samples).mean() + _LEAST_VARIANCE)
        (probabilities,) = self._session.run(None, {"input_features": log_mel(samples)[None]})
        return float(probabilities[0, 0])


@cache
def _shared(folder: Path, manifest: Manifest) -> Shared[_Engine]:
    store = Store(folder, manifest=manifest)
    return Shared(_MODEL, lambda: _Engine(store.path(_MODEL, "smart-turn-v3.2-cpu.onnx")))
