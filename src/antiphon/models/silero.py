"""Silero VAD: whether there is a voice, for all live calls in one run of one model.

Holds the service, a call's stream, and the batch that joins the streams of one event loop. When a
probability makes an edge is decided in `antiphon.turns.voice`.

The model is run on the loop, not in a thread: 64 windows take 2 ms, less than two changes of
threads on a busy machine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from antiphon.models.manifest import Manifest
from antiphon.models.shared import Shared, onnx_session
from antiphon.models.store import Store
from antiphon.options import within
from antiphon.services.base.vad import VAD, VADStream

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SileroVAD"]

_MODEL = "silero-vad"
_WINDOW = 512
_CONTEXT = 64
"""Samples of the window before that the model is given again. Source: Silero's own iterator."""
_STATE = 128
"""Width of the recurrent state, of which there are two. Source: the shapes in the model's file."""
_RATE = 16_000

_MOST_AT_ONCE = 64
"""Windows of one run: 2 ms on the loop (measured: 32 us each); the rest waits for its next turn."""
_FEW = 2
"""Open streams up to which waiting for others saves less than it delays."""
_MOST_WAITING = 32
"""Windows of one stream (1 s) that may wait. Whoever feeds more pays for a run at once."""


class SileroVAD(VAD):
    """Detects voices with Silero VAD.

    The streams of all objects of this class in one event loop are judged together.

    Args:
        gather: Seconds that a window waits for those of other calls, once more than two are open;
            0 to 0.03. It ends as soon as every call has a window waiting. Source: measured: one run
            costs 63 us for 1 window and 31 us for each of 64, and calls are at any phase of their
            32 ms.
        store: Where the model lies; the user's own store unless given.

    Raises:
        OptionError: `gather` is out of range.
    """

    name = "silero"
    window = _WINDOW

    def __init__(self, *, gather: float = 0.008, store: Store | None = None) -> None:
        within("SileroVAD", "gather", gather, 0.0, 0.03, "seconds")
        self._gather = gather
        store = store or Store()
        self._shared = _shared(store.folder, store.manifest)

    async def prewarm(self) -> None:
        """Load the model, once per process.

        Raises:
            ModelError: Its file is missing or damaged, or onnxruntime is not installed.
        """
        await self._shared.get()

    def open(self) -> VADStream:
        """Begin a session's stream, with a fresh state.

        Raises:
            UsageError: `prewarm` was not awaited before.
        """
        engine = self._shared.loaded
        key = (asyncio.get_running_loop(), self._gather)
        batch = engine.batches.get(key)
        if batch is None:
            # Loops that ended with calls still open; a copy, since other threads have loops too.
            for other in list(engine.batches):
                if other[0].is_closed():
                    engine.batches.pop(other, None)
            batch = engine.batches[key] = _Batch(engine, key)
        return batch.open()


class _Engine:
    """The loaded model, and the batches of the event loops that use it."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._session: Any = onnx_session(path)
        self._rate = np.array(_RATE, np.int64)
        self.batches: dict[tuple[asyncio.AbstractEventLoop, float], _Batch] = {}
        self.run(
            np.zeros((1, _CONTEXT + _WINDOW), np.float32), np.zeros((2, 1, _STATE), np.float32)
        )

    def run(
        self, inputs: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[list[float], NDArray[np.float32]]:
        """Judge windows.

        Args:
            inputs: Contexts and windows, shape (windows, 576).
            states: Shape (2, windows, 128).

        Returns:
            The probabilities, and the next states.
        """
        feeds = {"input": inputs, "state": states, "sr": self._rate}
        probabilities, states = self._session.run(None, feeds)
        return probabilities[:, 0].tolist(), states


class _Stream:
    """One session's windows. Its context and state lie in a row of its batch."""

    __slots__ = ("_batch", "is_open", "row", "waiting")

    def __init__(self, batch: _Batch, row: int) -> None:
        self._batch = batch
        self.row = row
        self.waiting: deque[tuple[NDArray[np.float32], Callable[[float], None]]] = deque()
        self.is_open = True

    def feed(self, window: NDArray[np.float32], answer: Callable[[float], None]) -> None:
        if self.is_open:
            self._batch.add(self, window, answer)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.waiting.clear()
            self._batch.remove(self)


class _Batch:
    """The open streams of one event loop."""

    def __init__(self, engine: _Engine, key: tuple[asyncio.AbstractEventLoop, float]) -> None:
        import numpy as np

        self._engine = engine
        self._key = key
        self._loop, self._gather = key
        self._contexts = np.zeros((0, _CONTEXT), np.float32)
        self._states = np.zeros((2, 0, _STATE), np.float32)
        self._free: list[int] = []
        self._inputs = np.empty((_MOST_AT_ONCE, _CONTEXT + _WINDOW), np.float32)
        self._open = 0
        # Streams with windows that wait, each once, the longest first.
        self._ready: deque[_Stream] = deque()
        self._timer: asyncio.Handle | None = None
        self._is_gathering = False

    def open(self) -> _Stream:
        if not self._free:
            self._grow()
        row = self._free.pop()
        self._contexts[row] = 0.0
        self._states[:, row] = 0.0
        self._open += 1
        return _Stream(self, row)

    def add(
        self, stream: _Stream, window: NDArray[np.float32], answer: Callable[[float], None]
    ) -> None:
        while len(stream.waiting) >= _MOST_WAITING and stream.is_open:
            self._run()
        if not stream.is_open:
            return
        if not stream.waiting:
            self._ready.append(stream)
        stream.waiting.append((window, answer))
        self._schedule()

    def remove(self, stream: _Stream) -> None:
        if stream in self._ready:
            self._ready.remove(stream)
        self._free.append(stream.row)
        self._open -= 1
        if self._open == 0:
            self._stop_timer()
            self._engine.batches.pop(self._key, None)
        elif self._ready:
            # The others may have waited for this one only.
            self._schedule()

    def _schedule(self) -> None:
        is_complete = self._open <= _FEW or len(self._ready) >= min(self._open, _MOST_AT_ONCE)
        if self._timer is None:
            if is_complete:
                self._timer = self._loop.call_soon(self._run)
            else:
                self._timer = self._loop.call_later(self._gather, self._run)
                self._is_gathering = True
        elif is_complete and self._is_gathering:
            self._stop_timer()
            self._timer = self._loop.call_soon(self._run)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_gathering = False

    def _run(self) -> None:
        """Judge one window of each stream that has one, 64 at most, and tell the answers."""
        self._stop_timer()
        count = min(len(self._ready), _MOST_AT_ONCE)
        streams = [self._ready.popleft() for _ in range(count)]
        rows = [stream.row for stream in streams]
        inputs = self._inputs[:count]
        inputs[:, :_CONTEXT] = self._contexts[rows]
        answers = []
        for index, stream in enumerate(streams):
            window, answer = stream.waiting.popleft()
            inputs[index, _CONTEXT:] = window
            answers.append(answer)
            if stream.waiting:
                self._ready.append(stream)
        probabilities, states = self._engine.run(inputs, self._states[:, rows])
        self._states[:, rows] = states
        self._contexts[rows] = inputs[:, -_CONTEXT:]
        if self._ready:
            # These have waited long enough: more than a batch, or several windows of one stream.
            self._timer = self._loop.call_soon(self._run)
        for stream, answer, probability in zip(streams, answers, probabilities, strict=True):
            if stream.is_open:
                self._tell(answer, probability)

    def _tell(self, answer: Callable[[float], None], probability: float) -> None:
        try:
            answer(probability)
        # One session's error must not keep the answers of the others: the loop reports it.
        except Exception as error:  # noqa: BLE001
            message = "the answer to a voice probability was refused"
            self._loop.call_exception_handler({"message": message, "exception": error})

    def _grow(self) -> None:
        import numpy as np

        old = len(self._contexts)
        new = max(8, 2 * old)
        more = new - old
        self._contexts = np.concatenate([self._contexts, np.zeros((more, _CONTEXT), np.float32)])
        self._states = np.concatenate([self._states, np.zeros((2, more, _STATE), np.float32)], 1)
        self._free.extend(reversed(range(old, new)))


@cache
def _shared(folder: Path, manifest: Manifest) -> Shared[_Engine]:
    store = Store(folder, manifest=manifest)
    return Shared(_MODEL, lambda: _Engine(store.path(_MODEL, "silero_vad.onnx")))
