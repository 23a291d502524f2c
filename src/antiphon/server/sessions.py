"""The sessions that are going on: how many may, who they are, and how they are brought to an end.

Holds the register of one server. Must not hold state for the whole process: two servers in one
process do not know of each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Protocol, TypeAlias

from antiphon.errors import TransportError
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.task import PipelineTask

__all__ = ["Endable", "Full", "Session", "SessionFactory", "Sessions"]

SessionFactory: TypeAlias = Callable[[FrameProcessor, FrameProcessor, PipelineParams], PipelineTask]
"""Makes the pipeline task of one session between a transport's input and output stage."""

END_TIMEOUT = 8.0
"""Seconds for sessions that were told to end: a pipeline's `cancel_timeout`, and its farewell."""


class Endable(Protocol):
    """What can be told to end: a transport."""

    def hang_up(self, ending: TransportError) -> None:
        """End now, and tell the far side why."""


class Session:
    """One session.

    Attributes:
        id: Unique within the server; in logs, and told to the client.
        started_at: The loop's time, in seconds.
        state: ``"starting"`` until the pipeline runs, ``"ending"`` once it was told to end.
    """

    def __init__(self, id: str, started_at: float) -> None:
        self.id = id
        self.started_at = started_at
        self.state: Literal["starting", "live", "ending"] = "starting"
        self._line: Endable | None = None
        self._ending: TransportError | None = None

    def begin(self, line: Endable) -> None:
        """The session has a line now; it ends at once if it was told to before."""
        self._line = line
        if self._ending is None:
            self.state = "live"
        else:
            line.hang_up(self._ending)

    def end(self, ending: TransportError) -> None:
        """End the session now."""
        self.state = "ending"
        self._ending = ending
        if self._line is not None:
            self._line.hang_up(ending)


class Full(Exception):
    """No session can be opened now; the text says why."""


class Sessions:
    """The sessions of one server.

    Args:
        limit: How many may go on at once.
        make_id: Gives each a new id.
    """

    def __init__(self, limit: int, make_id: Callable[[], str]) -> None:
        self._limit = limit
        self._make_id = make_id
        self._live: dict[str, Session] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._hurried = asyncio.Event()
        self.is_draining = False
        """The server is shutting down: no session is opened any more."""

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._live.values()))

    @contextmanager
    def open(self) -> Iterator[Session]:
        """Open a session, for as long as the block runs.

        Raises:
            Full: There are enough already, or the server is shutting down.
        """
        if self.is_draining:
            raise Full("the server is shutting down")
        if len(self._live) >= self._limit:
            raise Full(f"all {self._limit} sessions are taken; try again later")
        session = Session(self._make_id(), asyncio.get_running_loop().time())
        self._live[session.id] = session
        self._empty.clear()
        self._hurried.clear()
        try:
            yield session
        finally:
            del self._live[session.id]
            if not self._live:
                self._empty.set()
                self._hurried.set()

    def hurry(self) -> None:
        """Let `drain` wait no longer for sessions to end by themselves."""
        self._hurried.set()

    async def drain(self, seconds: float) -> tuple[str, ...]:
        """Open no session any more, and bring those that go on to their end.

        Args:
            seconds: How long they may go on by themselves; then they are told to end.

        Returns:
            The ids of those that have not ended although they were told to; empty as a rule.
        """
        self.is_draining = True
        if self._live:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurried.wait()
        for session in self:
            session.end(TransportError("shutdown", "the server is shutting down", close_code=1001))
        with suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await self._empty.wait()
        return tuple(self._live)
