"""`Observer`: who watches frames pass without being a stage.

An observer is put into a link when the pipeline is linked, so that where nobody watches nothing is
paid. Must not change what it sees.
"""

from __future__ import annotations

from abc import abstractmethod

from antiphon.frames import Direction, Frame
from antiphon.options import Declared

__all__ = ["Observer"]


class Observer(Declared):
    """Told of frames on their way into stages.

    Attributes:
        stages: Names of the stages whose incoming frames it is told of; None: of every stage.
        frames: Types of frames that it is told of.
    """

    stages: frozenset[str] | None = None
    frames: tuple[type[Frame], ...] = (Frame,)

    @abstractmethod
    def on_frame(self, frame: Frame, direction: Direction, into: str, now: float) -> None:
        """A frame is about to be handed to a stage.

        Called in the middle of the hand-over: it must not wait, and should take microseconds.

        Args:
            frame: A value; it cannot be changed.
            direction: Which way it travels.
            into: Name of the stage that is about to take it.
            now: The loop's time, in seconds.
        """
