"""`FrameProcessor`: one stage of a pipeline.

Holds how a stage takes a frame and hands it on, and what it may ask of the pipeline that runs it.
Must not hold a queue (see `boundary`) nor the linking (see `pipeline`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVarTuple

from antiphon.audio.formats import AudioFormat
from antiphon.errors import StageError, UsageError
from antiphon.frames import Direction, Frame
from antiphon.options import Declared
from antiphon.pipeline.full import Full, Roomy
from antiphon.pipeline.host import Host

__all__ = ["FrameProcessor", "Take"]

Arguments = TypeVarTuple("Arguments")

Take = Callable[[Frame, Direction], Any]
"""How a stage is handed a frame."""


def _nowhere(frame: Frame, direction: Direction) -> None:
    """The end of an unlinked stage: what it pushes goes nowhere."""


class FrameProcessor(Declared):
    """A stage: it takes frames, does something with them, and pushes frames on.

    Override `process`. Written with ``def`` it runs in the caller, and must not wait. Written with
    ``async def`` it is a boundary: the pipeline gives it a queue of `queue_size` frames and a task
    of its own, and `when_full` says what happens when the queue is full.

    Attributes:
        queue_size: Frames that a boundary's queue holds.
        when_full: See `Full`.
        drops: For `Full.DROP_OLDEST`: the types of frame that may be dropped. Others are kept.
        user_audio_needed: Format of the person's sound that this stage takes; None: any.
        user_audio_made: Format of the person's sound that this stage gives, if it makes any.
        speech_needed: Format of the agent's sound that this stage takes; None: any.
        speech_made: Format of the agent's sound that this stage gives, if it makes any.
    """

    queue_size: ClassVar[int] = 64
    when_full: ClassVar[Full] = Full.WAIT
    drops: ClassVar[tuple[type[Frame], ...]] = ()

    user_audio_needed: AudioFormat | None = None
    user_audio_made: AudioFormat | None = None
    speech_needed: AudioFormat | None = None
    speech_made: AudioFormat | None = None

    _take_down: Take = staticmethod(_nowhere)
    _take_up: Take = staticmethod(_nowhere)
    _name_down = _name_up = "nothing"
    _task: Host | None = None
    _name: str | None = None
    _next_boundaries: tuple[Roomy, ...] = ()

    @property
    def name(self) -> str:
        """What errors, observers and `Pipeline.describe` call this stage."""
        return self._name or type(self).__name__

    @property
    def task(self) -> Host:
        """The running pipeline that this stage is part of.

        Raises:
            UsageError: None does.
        """
        if self._task is None:
            raise UsageError(f"stage {self.name!r} is not part of a running pipeline")
        return self._task

    @property
    def now(self) -> float:
        """The loop's time, in seconds."""
        return asyncio.get_running_loop().time()

    @classmethod
    def is_boundary(cls) -> bool:
        """Whether `process` may wait, and so needs a queue and a task."""
        return inspect.iscoroutinefunction(cls.process)

    async def setup(self) -> None:
        """Become ready, such as connect or load. All stages do so at once, before any frame.

        An error, or being slower than `PipelineParams.start_timeout`, ends the pipeline.
        """

    def started(self) -> None:
        """All stages are ready: a source starts to read here, with `start_task`."""

    async def cleanup(self) -> None:
        """Let go of what `setup` took. Called once for every stage whose `setup` was called."""

    def process(self, frame: Frame, direction: Direction) -> Awaitable[None] | None:
        """Take a frame. The default hands it on."""
        self.push(frame, direction)
        return None

    def push(self, frame: Frame, direction: Direction = Direction.DOWN) -> None:
        """Hand a frame to the next stage. Never waits; frames arrive in the order of the calls.

        Raises:
            StageError: A stage that took the frame raised; it is named.
        """
        is_down = direction is Direction.DOWN
        try:
            if is_down:
                self._take_down(frame, direction)
            else:
                self._take_up(frame, direction)
        except StageError:
            raise
        except Exception as error:
            raise StageError(self._name_down if is_down else self._name_up) from error

    @property
    def has_room(self) -> bool:
        """Whether the next boundary below has room: `wait_room` would not wait."""
        return all(boundary.has_room for boundary in self._next_boundaries)

    async def wait_room(self) -> None:
        """Wait until the next boundary below has room. A source calls it before it reads on."""
        for boundary in self._next_boundaries:
            await boundary.wait_room()

    def guard(self, callback: Callable[[*Arguments], object], *args: *Arguments) -> None:
        """Run `callback(*args)` for a timer or a foreign caller: its error ends the pipeline.

        Without it the error would reach the loop, or another session, and this one would hang.
        """
        try:
            callback(*args)
        except StageError as error:
            self.task.fail(error)
        except Exception as error:  # noqa: BLE001 - it ends the pipeline, with the stage named
            failure = StageError(self.name)
            failure.__cause__ = error
            self.task.fail(failure)

    def start_task(
        self, work: Callable[[*Arguments], Coroutine[Any, Any, None]], *args: *Arguments
    ) -> asyncio.Task[None]:
        """Run `work(*args)` in the pipeline's task group until it ends or the pipeline does.

        Returns:
            The task; cancel it to end it earlier. An error in it ends the pipeline, with this
            stage named.
        """
        return self.task.start_task(self.name, work, *args)
