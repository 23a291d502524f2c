"""`Pipeline`: stages in a list, with names that say which is which.

Must not link them (see `wiring`) nor start anything (see `task`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from antiphon.options import Declared
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.wiring import Branching, Formats, Stages, agree, flatten, walk

__all__ = ["Pipeline"]


class Pipeline(Declared):
    """Stages, from the person's microphone to the person's ear.

    Args:
        stages: Stages, services, or pipelines, whose stages are taken in.
        resample: Put a visible resampler where two neighbours differ in sample rate. If not, such
            neighbours are an error.

    Raises:
        OptionError: Neighbours cannot agree on a sound format, or something is no stage.
    """

    def __init__(self, stages: Stages, *, resample: bool = True) -> None:
        self._stages = agree(flatten(stages), Formats(None, None), resample=resample)
        _name_all(self.walk())

    @property
    def stages(self) -> tuple[FrameProcessor, ...]:
        """The stages, resamplers that were put in included."""
        return tuple(self._stages)

    def walk(self) -> Iterator[FrameProcessor]:
        """Every stage, those inside of others included."""
        yield from walk(self._stages)

    def describe(self) -> str:
        """One line for each stage: its name and how it runs."""
        return "\n".join(_describe(self._stages, ""))


def _name_all(stages: Iterator[FrameProcessor]) -> None:
    """Make names unique, so that an error names exactly one stage."""
    taken: set[str] = set()
    for stage in stages:
        base, number = stage.name, 2
        while stage.name in taken:
            stage._name = f"{base} {number}"
            number += 1
        taken.add(stage.name)


def _describe(stages: Sequence[FrameProcessor], indent: str) -> Iterator[str]:
    for stage in stages:
        full = f", when full: {stage.when_full.value}" if stage.is_boundary() else ""
        how = f"queue of {stage.queue_size}{full}" if stage.is_boundary() else "inline"
        yield f"{indent}{stage.name} ({how})"
        if isinstance(stage, Branching):
            yield from _describe(stage.children(), indent + "  ")
