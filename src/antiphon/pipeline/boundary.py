"""`Boundary`: the queue and the task of a stage that may wait.

Holds what happens when the queue is full, and that work for a closed reply ends. Must not decide
which replies are closed.
"""

from __future__ import annotations

import asyncio
from collections import deque

from antiphon.errors import StageError
from antiphon.frames import Direction, Frame, ReplyFrame
from antiphon.pipeline.full import Full
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import Replies

__all__ = ["Boundary"]


class Boundary:
    """A queue before `stage` and the loop that empties it.

    Args:
        stage: Its ``async def process`` is called for one frame after the other.
        replies: Tells which replies are over: their frames are dropped, and the one being
            processed is cancelled.

    Attributes:
        dropped: Frames that `Full.DROP_OLDEST` dropped.
    """

    def __init__(self, stage: FrameProcessor, replies: Replies) -> None:
        self.dropped = 0
        self._stage = stage
        self._replies = replies
        self._queue: deque[tuple[Frame, Direction]] = deque()
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, frame: Frame, direction: Direction) -> None:
        """Queue a frame; never waits.

        Raises:
            StageError: The queue is full and the stage says `Full.FAIL`.
        """
        stage = self._stage
        if len(self._queue) >= stage.queue_size:
            if stage.when_full is Full.FAIL:
                raise StageError(stage.name, f"has a full queue of {stage.queue_size} frames")
            if stage.when_full is Full.DROP_OLDEST:
                self._drop_oldest()
        self._queue.append((frame, direction))
        self._filled.set()
        if stage.when_full is Full.WAIT and len(self._queue) >= stage.queue_size:
            self._roomy.clear()

    def _drop_oldest(self) -> None:
        for index, (frame, _) in enumerate(self._queue):
            if isinstance(frame, self._stage.drops):
                del self._queue[index]
                self.dropped += 1
                return

    @property
    def has_room(self) -> bool:
        """Whether the queue is below its size."""
        return self._roomy.is_set()

    async def wait_room(self) -> None:
        """Wait until the queue is below its size. Cancelling the wait changes nothing."""
        await self._roomy.wait()

    async def run(self) -> None:
        """Process frames for ever. When cancelled, the frame being processed is cancelled too."""
        stage, queue = self._stage, self._queue
        while True:
            while not queue:
                self._filled.clear()
                await self._filled.wait()
            frame, direction = queue.popleft()
            if len(queue) < stage.queue_size:
                self._roomy.set()
            if isinstance(frame, ReplyFrame):
                await self._process_for_reply(frame, direction)
            else:
                await self._process(frame, direction)
            await stage.wait_room()

    async def _process(self, frame: Frame, direction: Direction) -> None:
        try:
            waiting = self._stage.process(frame, direction)
            assert waiting is not None
            await waiting
        except StageError:
            raise
        except Exception as error:
            raise StageError(self._stage.name) from error

    async def _process_for_reply(self, frame: ReplyFrame, direction: Direction) -> None:
        scope = self._replies.get(frame.reply)
        if scope is None:
            return
        with scope.entered():
            await self._process(frame, direction)
