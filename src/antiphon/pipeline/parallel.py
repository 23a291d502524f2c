"""`ParallelPipeline`: branches that each take every frame.

Holds the fan-out and the way back together. Must not order frames of different branches: within a
branch the order is kept, between branches the first comes first.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from antiphon.errors import OptionError
from antiphon.frames import Direction, End, Frame
from antiphon.pipeline.boundary import Boundary
from antiphon.pipeline.processor import FrameProcessor, Take
from antiphon.pipeline.wiring import Branching, Formats, Stages, Wiring, agree, flatten, wire

__all__ = ["ParallelPipeline"]

_REMEMBERED = 1024
"""Frames that are remembered to be passed on once; more are not under way in practice: it is many
times the size of a boundary's queue."""


class ParallelPipeline(Branching):
    """Hand every frame to several branches at once.

    A frame that several branches hand on leaves once, when the first does. `End` leaves when every
    branch has handed it on. Frames from below go into every branch and leave above likewise.

    Args:
        branches: Lists of stages; at least two.

    Raises:
        OptionError: Fewer than two branches, or one that cannot agree on sound formats.
    """

    def __init__(self, *branches: Stages) -> None:
        if len(branches) < 2:
            raise OptionError("ParallelPipeline takes two lists of stages or more")
        self._branches = [flatten(branch) for branch in branches]
        self._heads: list[Take] = []
        self._tails: list[Take] = []
        self._passed: OrderedDict[int, Frame] = OrderedDict()
        self._ends: set[int] = set()
        self._is_fanning = False
        self._merged: deque[tuple[Frame, Direction]] = deque()

    def children(self) -> tuple[FrameProcessor, ...]:
        """The stages of all branches."""
        return tuple(stage for branch in self._branches for stage in branch)

    def agree_inside(self, formats: Formats, *, resample: bool) -> None:
        """Agree within each branch, and let the branches agree on what they give."""
        made = []
        for index, branch in enumerate(self._branches):
            flow = formats.copy()
            self._branches[index] = agree(branch, flow, resample=resample)
            made.append(flow)
        for name in ("user_audio", "speech"):
            kinds = {getattr(flow, name) for flow in made} - {None}
            if len(kinds) > 1:
                given = ", ".join(sorted(str(kind) for kind in kinds))
                raise OptionError(f"branches of ParallelPipeline give different {name}: {given}")
            setattr(formats, name, kinds.pop() if kinds else None)

    def wire_inside(
        self, wiring: Wiring, boundaries_below: tuple[Boundary, ...]
    ) -> tuple[Boundary, ...]:
        """Link each branch between this stage's own two sides."""
        feeds: dict[Boundary, None] = {}
        for index, branch in enumerate(self._branches):
            merge = self._merge(index)
            head, tail, fed = wire(
                branch,
                wiring,
                above=(merge, self.name),
                below=(merge, self.name),
                boundaries_below=boundaries_below,
            )
            self._heads.append(head)
            self._tails.append(tail)
            feeds.update(dict.fromkeys(fed))
        return tuple(feeds)

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand the frame to every branch, the first one first.

        What comes out meanwhile leaves when every branch has taken it: an answer to the frame that
        came back would otherwise reach a branch before the frame itself.
        """
        self._is_fanning = True
        try:
            for take in self._heads if direction is Direction.DOWN else self._tails:
                take(frame, direction)
        finally:
            self._is_fanning = False
        while self._merged and not self._is_fanning:
            self.push(*self._merged.popleft())

    def _pass_on(self, frame: Frame, direction: Direction) -> None:
        if self._is_fanning:
            self._merged.append((frame, direction))
        else:
            self.push(frame, direction)

    def _merge(self, branch: int) -> Take:
        def merge(frame: Frame, direction: Direction) -> None:
            if isinstance(frame, End):
                self._ends.add(branch)
                if len(self._ends) == len(self._branches):
                    self._pass_on(frame, direction)
            elif id(frame) not in self._passed:
                # Holding the frame keeps its identity from being given to another one.
                self._passed[id(frame)] = frame
                if len(self._passed) > _REMEMBERED:
                    self._passed.popitem(last=False)
                self._pass_on(frame, direction)

        return merge
