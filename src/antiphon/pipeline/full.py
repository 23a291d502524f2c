"""What a full queue does, and what waits for room in it. Holds no queue."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

__all__ = ["Full", "Roomy"]


class Full(Enum):
    """What happens when a frame comes to a boundary whose queue is full."""

    WAIT = "wait"
    """The frame is taken, and the boundary or source above reads nothing more until there is room.
    The queue thus exceeds its size by what one call above pushes."""
    DROP_OLDEST = "drop oldest"
    """The oldest queued frame of a type in `FrameProcessor.drops` is dropped and counted. If there
    is none, the frame is taken."""
    FAIL = "fail"
    """`StageError`: the pipeline ends."""


class Roomy(Protocol):
    """Something that can be full."""

    @property
    def has_room(self) -> bool:
        """Whether `wait_room` would not wait."""

    async def wait_room(self) -> None:
        """Wait until it has room. Cancelling the wait changes nothing."""
