"""`PipelineTask`: one running pipeline.

Holds start, end and cancellation, all bounded in time, and owns every task of the pipeline. Must
not know what a frame means, but for `End`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVarTuple

from antiphon.errors import AntiphonError, ModelError, RemoteError, StageError, UsageError
from antiphon.frames import Direction, End, Frame, ServiceFailed
from antiphon.pipeline.boundary import Boundary
from antiphon.pipeline.host import Host, Outcome
from antiphon.pipeline.observers import Observer
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.pipeline import Pipeline
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import Replies, ReplyScope
from antiphon.pipeline.wiring import Wiring, wire

__all__ = ["Outcome", "PipelineStatistics", "PipelineTask"]

_log = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True, slots=True)
class PipelineStatistics:
    """A snapshot of a running pipeline.

    Attributes:
        tasks: Tasks that are alive, those of replies not counted.
        queued: Frames that wait in the queue of each boundary, by stage.
        dropped: Frames that each boundary dropped because it was full, by stage.
    """

    tasks: int
    queued: dict[str, int]
    dropped: dict[str, int]


class PipelineTask(Host):
    """Runs one pipeline once.

    Args:
        pipeline: Its stages must not be part of another running pipeline.
        params: Options; the defaults if left out.
        observers: Who watches frames pass.

    Attributes:
        params: The options.
        replies: The replies that are under way; there from the moment `run` is called.
        outcome: How it ended; None until then.
    """

    replies: Replies

    def __init__(
        self,
        pipeline: Pipeline,
        params: PipelineParams | None = None,
        *,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.pipeline = pipeline
        self.params = params or PipelineParams()
        self.outcome: Outcome | None = None
        self._observers = tuple(observers)
        self._group: asyncio.TaskGroup | None = None
        self._finished: asyncio.Future[Outcome] | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._waiting: list[Frame] = []
        self._entry: _Start | None = None
        self._owned: dict[asyncio.Task[None], str] = {}
        self._boundaries: dict[str, Boundary] = {}

    # ---- what others call ---------------------------------------------------------------

    def queue_frame(self, frame: Frame) -> None:
        """Hand a frame to the first stage; before the start it is kept until then.

        A stage that raises ends the pipeline; the caller is not told.
        """
        if self._entry is None:
            if self.outcome is None:
                self._waiting.append(frame)
            return
        try:
            self._entry.push(frame)
        except AntiphonError as error:
            self.fail(error)

    def queue_frames(self, frames: Iterable[Frame]) -> None:
        """Hand several frames to the first stage, in order."""
        for frame in frames:
            self.queue_frame(frame)

    def end(self) -> None:
        """Let what was begun be finished, then end: `End` follows all frames, replies play out.

        Bounded by `PipelineParams.drain_timeout`.
        """
        if self._finished is not None:
            self._arm_drain_timeout()
        self.queue_frame(End())

    def cancel(self) -> None:
        """End now: every task is cancelled, nothing more is played."""
        self._finish("cancelled")

    def fail(self, error: AntiphonError) -> None:
        """End now with `error`, which `run` then raises; for what fails outside of a task."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(error)

    def statistics(self) -> PipelineStatistics:
        """What the pipeline does at this moment."""
        return PipelineStatistics(
            tasks=len(self._owned),
            queued={name: len(boundary) for name, boundary in self._boundaries.items()},
            dropped={name: boundary.dropped for name, boundary in self._boundaries.items()},
        )

    def start_task(
        self,
        name: str,
        work: Callable[[*Arguments], Coroutine[Any, Any, None]],
        *args: *Arguments,
    ) -> asyncio.Task[None]:
        """Run `work(*args)` for the stage `name`; see `FrameProcessor.start_task`."""
        if self._group is None:
            raise UsageError(f"stage {name!r} starts a task outside of a running pipeline")

        async def guarded() -> None:
            try:
                await work(*args)
            except StageError:
                raise
            except Exception as error:
                raise StageError(name) from error

        task = self._group.create_task(guarded(), name=name)
        self._owned[task] = name
        task.add_done_callback(self._forget)
        return task

    async def run(self) -> None:
        """Run until the end, a cancellation or an error; then no task of it is alive.

        Cancelling this call ends the pipeline like `cancel`, and then raises as usual.

        Raises:
            StageError: A stage raised, or did not become ready in time; it is named.
            UsageError: It has run before.
        """
        if self._finished is not None or self.outcome is not None:
            raise UsageError("a PipelineTask runs once: make another one")
        self._finished = asyncio.get_running_loop().create_future()
        stages = list(self.pipeline.walk())
        begun: list[FrameProcessor] = []
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.replies = Replies(group, self._reply_failed)
                entry = self._link(stages)
                await self._setup(stages, begun)
                self._start(stages, entry)
                outcome = await self._finished
                await self._stop_tasks()
            self.outcome = outcome
        except BaseExceptionGroup as errors:
            self.outcome = "failed"
            error = _first(errors)
            raise error from error.__cause__
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        finally:
            if self._drain_timer is not None:
                self._drain_timer.cancel()
            self._entry = None
            self._group = None
            self.outcome = self.outcome or "failed"
            self.replies.close_all()
            await self._cleanup(begun)

    # ---- its parts ----------------------------------------------------------------------

    def _link(self, stages: Sequence[FrameProcessor]) -> _Start:
        wiring = Wiring(self._make_boundary, self._observers, asyncio.get_running_loop().time)
        start = _Start()
        wire(
            (start, *self.pipeline.stages),
            wiring,
            above=(start.process, "the start"),
            below=(self._at_end, "the end"),
        )
        for stage in stages:
            stage._task = self
        return start

    def _make_boundary(self, stage: FrameProcessor) -> Boundary:
        boundary = self._boundaries[stage.name] = Boundary(stage, self.replies)
        return boundary

    async def _setup(self, stages: Sequence[FrameProcessor], begun: list[FrameProcessor]) -> None:
        late: set[str] = set()

        async def one(stage: FrameProcessor) -> None:
            try:
                await stage.setup()
            except AntiphonError:
                raise
            except Exception as error:
                raise StageError(stage.name, "raised while it was made ready") from error
            late.discard(stage.name)

        try:
            async with asyncio.timeout(self.params.start_timeout), asyncio.TaskGroup() as group:
                for stage in stages:
                    if type(stage).setup is not FrameProcessor.setup:
                        late.add(stage.name)
                        group.create_task(one(stage), name=f"setup of {stage.name}")
                    begun.append(stage)
        except TimeoutError:
            names = ", ".join(sorted(late))
            problem = f"was not ready within {self.params.start_timeout:g} s (start_timeout)"
            raise StageError(names, problem) from None

    def _start(self, stages: Sequence[FrameProcessor], entry: _Start) -> None:
        for stage in stages:
            if stage.name in self._boundaries:
                self.start_task(stage.name, self._boundaries[stage.name].run)
        for stage in stages:
            stage.started()
        self._entry = entry
        waiting, self._waiting = self._waiting, []
        if any(isinstance(frame, End) for frame in waiting):
            self._arm_drain_timeout()
        self.queue_frames(waiting)

    def _at_end(self, frame: Frame, direction: Direction) -> None:
        if isinstance(frame, End):
            self._arm_drain_timeout()
            assert self._group is not None
            task = self._group.create_task(self._drain(), name="drain")
            self._owned[task] = "drain"
            task.add_done_callback(self._forget)

    async def _drain(self) -> None:
        await self.replies.wait_idle()
        self._finish("ended")

    def _arm_drain_timeout(self) -> None:
        if self._drain_timer is None:
            loop = asyncio.get_running_loop()
            seconds = self.params.drain_timeout
            self._drain_timer = loop.call_later(seconds, self._finish, "drain timeout")

    def _finish(self, outcome: Outcome) -> None:
        if self._finished is None:
            self.outcome = self.outcome or outcome
        elif not self._finished.done():
            self._finished.set_result(outcome)

    async def _stop_tasks(self) -> None:
        """Cancel every task; one that swallows it is named and cancelled again."""
        self._entry = None
        self.replies.close_all()
        for _ in range(3):
            if not self._owned:
                return
            for task in tuple(self._owned):
                task.cancel()
            await asyncio.wait(tuple(self._owned), timeout=self.params.cancel_timeout)
            for name in self._owned.values():
                _log.warning("stage %r goes on after it was cancelled", name)

    async def _cleanup(self, stages: Sequence[FrameProcessor]) -> None:
        """Let every stage clean up; an error in one is reported and keeps no other from it."""

        async def one(stage: FrameProcessor) -> None:
            try:
                async with asyncio.timeout(self.params.cancel_timeout):
                    await stage.cleanup()
            # The pipeline is over: nobody above could do more about it than read it.
            # Its type only: a foreign error's text may hold what a caller said.
            except Exception as error:  # noqa: BLE001
                _log.error("stage %r failed to clean up: %s", stage.name, type(error).__name__)

        async with asyncio.TaskGroup() as group:
            for stage in stages:
                if type(stage).cleanup is not FrameProcessor.cleanup:
                    group.create_task(one(stage), name=f"cleanup of {stage.name}")

    def _reply_failed(self, scope: ReplyScope, stage: str, error: RemoteError | ModelError) -> None:
        scope.close()
        service = error.service if isinstance(error, RemoteError) else error.model
        self.queue_frame(ServiceFailed(service, error.code, str(error), scope.number))

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._owned.pop(task, None)


class _Start(FrameProcessor):
    """Before the first stage: what is queued comes in here."""

    def process(self, frame: Frame, direction: Direction) -> None:
        """What travels up beyond the first stage has reached everyone who could use it."""


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the pipeline; others that came with it are its notes."""
    leaves: list[BaseException] = []
    todo: list[BaseException] = [errors]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseExceptionGroup):
            todo[:0] = error.exceptions
        else:
            leaves.append(error)
    first = next((leaf for leaf in leaves if isinstance(leaf, AntiphonError)), leaves[0])
    for other in leaves:
        if other is not first:
            first.add_note(f"and then: {other!r}")
    return first
