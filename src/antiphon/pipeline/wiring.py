"""Linking stages: the agreement of sound formats, and who hands frames to whom.

Must not start anything: that is `task`'s.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from antiphon.audio.formats import AudioFormat
from antiphon.errors import OptionError, UsageError
from antiphon.frames import Direction, Frame
from antiphon.pipeline.boundary import Boundary
from antiphon.pipeline.observers import Observer
from antiphon.pipeline.processor import FrameProcessor, Take
from antiphon.pipeline.resampling import ResampleSpeech, ResampleUserAudio

__all__ = ["Branching", "Formats", "Stages", "Wiring", "agree", "flatten", "walk", "wire"]


@runtime_checkable
class Stageable(Protocol):
    """Something that can be put into a pipeline's list, such as a service."""

    def stage(self) -> FrameProcessor:
        """Make the stage that does its work."""
        ...


@runtime_checkable
class Listed(Protocol):
    """A list of stages that can stand inside of another list: a pipeline."""

    @property
    def stages(self) -> tuple[FrameProcessor, ...]:
        """The stages, in order."""
        ...


Stages: TypeAlias = Sequence[FrameProcessor | Stageable | Listed]


class Formats:
    """The formats that flow at one point of a list; None: no stage above has made any yet."""

    def __init__(self, user_audio: AudioFormat | None, speech: AudioFormat | None) -> None:
        self.user_audio = user_audio
        self.speech = speech

    def copy(self) -> Formats:
        """The same formats, for a branch."""
        return Formats(self.user_audio, self.speech)


class Branching(FrameProcessor):
    """A stage that has stages inside."""

    @abstractmethod
    def children(self) -> tuple[FrameProcessor, ...]:
        """The stages inside, in order."""

    @abstractmethod
    def agree_inside(self, formats: Formats, *, resample: bool) -> None:
        """Agree on sound formats with the stages inside; `formats` is what flows in, then out."""

    @abstractmethod
    def wire_inside(
        self, wiring: Wiring, boundaries_below: tuple[Boundary, ...]
    ) -> tuple[Boundary, ...]:
        """Link the stages inside.

        Returns:
            The boundaries that a stage above this one feeds.
        """


def flatten(stages: Stages) -> list[FrameProcessor]:
    """Turn services into stages and pipelines into their stages.

    Raises:
        OptionError: Something is none of them.
    """
    flat: list[FrameProcessor] = []
    for item in stages:
        if isinstance(item, FrameProcessor):
            flat.append(item)
        elif isinstance(item, Listed) and not isinstance(item, type):
            flat.extend(item.stages)
        else:
            flat.append(_stage_of(item))
    return flat


def _stage_of(item: object) -> FrameProcessor:
    if isinstance(item, type):
        raise OptionError(f"{item.__name__} is a class: write {item.__name__}(...)")
    if not isinstance(item, Stageable):
        raise OptionError(f"{type(item).__name__} is no stage: derive it from FrameProcessor")
    return item.stage()


def agree(
    stages: Sequence[FrameProcessor], formats: Formats, *, resample: bool
) -> list[FrameProcessor]:
    """Check each stage's sound formats against what flows, and put resamplers in.

    Args:
        stages: In order.
        formats: What flows into the first; changed to what flows out of the last.
        resample: See `Pipeline`.

    Raises:
        OptionError: Neighbours cannot agree.
    """
    agreed: list[FrameProcessor] = []
    for stage in stages:
        need, have = stage.user_audio_needed, formats.user_audio
        if need is not None and have is not None and need != have:
            agreed.append(_bridge(ResampleUserAudio, have, need, stage, resample))
            formats.user_audio = need
        need, have = stage.speech_needed, formats.speech
        if need is not None and have is not None and need != have:
            agreed.append(_bridge(ResampleSpeech, have, need, stage, resample))
            formats.speech = need
        if isinstance(stage, Branching):
            stage.agree_inside(formats, resample=resample)
        formats.user_audio = stage.user_audio_made or formats.user_audio
        formats.speech = stage.speech_made or formats.speech
        agreed.append(stage)
    return agreed


def _bridge(
    kind: Callable[[AudioFormat, AudioFormat], FrameProcessor],
    have: AudioFormat,
    need: AudioFormat,
    stage: FrameProcessor,
    resample: bool,
) -> FrameProcessor:
    if not resample:
        raise OptionError(
            f"stage {stage.name!r} takes {need} but is given {have}; put a resampler before it "
            "or leave `resample` on"
        )
    try:
        return kind(have, need)
    except OptionError as error:
        raise OptionError(f"stage {stage.name!r}: {error}") from error


def walk(stages: Sequence[FrameProcessor]) -> Iterator[FrameProcessor]:
    """Every stage, those inside of others included."""
    for stage in stages:
        yield stage
        if isinstance(stage, Branching):
            yield from walk(stage.children())


class Wiring:
    """What linking needs to know of the task that runs the pipeline.

    Args:
        make_boundary: Makes the queue of a stage, and sees that its loop runs.
        observers: Put into the links that they watch.
        clock: The loop's time.
    """

    def __init__(
        self,
        make_boundary: Callable[[FrameProcessor], Boundary],
        observers: Sequence[Observer],
        clock: Callable[[], float],
    ) -> None:
        self._make_boundary = make_boundary
        self._observers = observers
        self._clock = clock

    def entry(self, stage: FrameProcessor) -> tuple[Take, Boundary | None]:
        """How `stage` is handed frames: its queue, or itself; behind who watches it."""
        boundary = self._make_boundary(stage) if stage.is_boundary() else None
        take: Take = boundary.put if boundary is not None else stage.process
        for observer in self._observers:
            if observer.stages is None or stage.name in observer.stages:
                take = self._observed(take, stage.name, observer)
        return take, boundary

    def _observed(self, take: Take, name: str, observer: Observer) -> Take:
        kinds, on_frame, clock = observer.frames, observer.on_frame, self._clock

        def observed(frame: Frame, direction: Direction) -> None:
            if isinstance(frame, kinds):
                on_frame(frame, direction, name, clock())
            take(frame, direction)

        return observed


def wire(
    stages: Sequence[FrameProcessor],
    wiring: Wiring,
    *,
    above: tuple[Take, str],
    below: tuple[Take, str],
    boundaries_below: tuple[Boundary, ...] = (),
) -> tuple[Take, Take, tuple[Boundary, ...]]:
    """Link `stages` to each other and to what is above and below them.

    Returns:
        How to hand a frame to the first, how to hand one up to the last, and the boundaries that
        a stage above them feeds.

    Raises:
        UsageError: A stage is part of two running pipelines.
    """
    entries = [wiring.entry(stage) for stage in stages]
    feeds = boundaries_below
    for index in reversed(range(len(stages))):
        stage, (_, boundary) = stages[index], entries[index]
        if stage._take_down is not FrameProcessor._take_down:
            raise UsageError(f"stage {stage.name!r} is part of another pipeline already")
        is_last, is_first = index == len(stages) - 1, index == 0
        stage._take_down, stage._name_down = (
            below if is_last else (entries[index + 1][0], stages[index + 1].name)
        )
        stage._take_up, stage._name_up = (
            above if is_first else (entries[index - 1][0], stages[index - 1].name)
        )
        stage._next_boundaries = feeds
        inside = stage.wire_inside(wiring, feeds) if isinstance(stage, Branching) else feeds
        feeds = (boundary,) if boundary is not None else inside
    if not stages:
        return below[0], above[0], feeds
    return entries[0][0], entries[-1][0], feeds
