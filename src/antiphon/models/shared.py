"""Heavy objects that every session of the process shares: loaded lazily, off the loop, once.

Holds the waiting for a load and what its failures mean. Must not know any model.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from antiphon.errors import AntiphonError, ModelError, UsageError
from antiphon.pipeline.offload import offloaded

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Shared", "load", "onnx_session"]

Loaded = TypeVar("Loaded")


@dataclass(slots=True)
class _Loading(Generic[Loaded]):
    """One load that some tasks of one event loop wait for."""

    future: asyncio.Future[Loaded]
    waiting: int = 0


class Shared(Generic[Loaded]):
    """Something that is loaded when it is first needed, and then kept.

    It may be asked for by many tasks, event loops and threads at once: it is loaded once. After a
    failure the next one who asks tries again.

    Args:
        model: Name in the manifest, for errors.
        load: Loads it; blocks, and imports its heavy libraries itself.
    """

    def __init__(self, model: str, load: Callable[[], Loaded]) -> None:
        self._model = model
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._loading: dict[asyncio.AbstractEventLoop, _Loading[Loaded]] = {}

    @property
    def loaded(self) -> Loaded:
        """What was loaded before.

        Raises:
            UsageError: Nothing was.
        """
        if self._loaded is None:
            raise UsageError(f"model {self._model!r} is not loaded yet: await prewarm() first")
        return self._loaded

    async def get(self) -> Loaded:
        """Give it, after loading it in a thread if need be.

        When cancelled, the wait ends at once; others who wait are not disturbed, and a load that
        has begun is finished and kept.

        Raises:
            ModelError: It cannot be loaded; the text says what to do.
        """
        if self._loaded is not None:
            return self._loaded
        loop = asyncio.get_running_loop()
        # One job for each loop, so that a hundred sessions which wait do not fill every thread.
        loading = self._loading.get(loop)
        if loading is None:
            loading = self._loading[loop] = _Loading(offloaded(self._load_once))
        loading.waiting += 1
        try:
            return await asyncio.shield(loading.future)
        finally:
            loading.waiting -= 1
            if not loading.waiting:
                self._loading.pop(loop, None)
                # Done already, or nobody wants it: a thread must not report to a closed loop.
                loading.future.cancel()

    def _load_once(self) -> Loaded:
        # The lock makes threads of other loops wait.
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load_or_explain()
            return self._loaded

    def _load_or_explain(self) -> Loaded:
        try:
            _import_numpy()
            return self._load()
        except AntiphonError:
            raise
        except ImportError as error:
            problem = f"needs a library ({error}): pip install 'antiphon[local]'"
            raise ModelError(self._model, problem) from error
        # The libraries raise whatever they like for a file that they do not understand.
        except Exception as error:
            told = f"cannot be loaded: {error}"
            mend = f"run: antiphon models pull --verify {self._model}"
            raise ModelError(self._model, f"{told}; {mend}") from error


def _import_numpy() -> None:
    """Import numpy whole before any library that imports parts of it.

    Where one thread begins with numpy and another with its C module, as onnxruntime does, each
    waits for the other, and Python hands out half of a module: seen once in some sixty loads.
    """
    with _IMPORTING:
        import numpy  # noqa: F401


_IMPORTING = threading.Lock()

_SHARED: dict[tuple[str, Callable[[], Any]], Shared[Any]] = {}


async def load(model: str, make: Callable[[], Loaded]) -> Loaded:
    """Give what `make` made when this was first called with it; see `Shared.get`.

    Args:
        model: Name in the manifest, for errors.
        make: Loads the model; the same function or class each time.

    Raises:
        ModelError: It cannot be loaded; the text says what to do.
    """
    shared: Shared[Loaded] = _SHARED.setdefault((model, make), Shared(model, make))
    return await shared.get()


def onnx_session(path: Path) -> Any:
    """Load an ONNX model to be run in the thread that calls it, and only there.

    Args:
        path: Of its file.

    Returns:
        An `onnxruntime.InferenceSession`; it may be run by several threads at once.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread: these models are small, and threads that spin for work take a core from others.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors only: what it warns of is how these files were exported.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
