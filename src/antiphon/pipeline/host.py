"""`Host`: what a stage may ask of the pipeline that runs it.

Holds the contract; `antiphon.pipeline.task` is the only one who keeps it. Must not know a stage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol, TypeVarTuple

from antiphon.errors import AntiphonError
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.replies import Replies

__all__ = ["Host", "Outcome"]

Arguments = TypeVarTuple("Arguments")

Outcome = Literal["ended", "cancelled", "drain timeout", "failed"]
"""How a pipeline ended."""


class Host(Protocol):
    """A running pipeline, as its stages see it.

    Attributes:
        params: Its options.
        replies: The replies that are under way.
        outcome: How it ended; None until then.
    """

    params: PipelineParams
    replies: Replies
    outcome: Outcome | None

    def start_task(
        self,
        name: str,
        work: Callable[[*Arguments], Coroutine[Any, Any, None]],
        *args: *Arguments,
    ) -> asyncio.Task[None]:
        """Run `work(*args)` for the stage of that name; see `FrameProcessor.start_task`."""

    def end(self) -> None:
        """Let what was begun be finished, then end."""

    def cancel(self) -> None:
        """End now."""

    def fail(self, error: AntiphonError) -> None:
        """End now with `error`."""
