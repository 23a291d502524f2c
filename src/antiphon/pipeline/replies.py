"""Numbered replies and their scopes: what a reply started ends with it, at once.

To interrupt a reply is to close its scope. No message has to travel through the stages: every task
that works for the reply is cancelled, whoever holds its sound is called, and a frame that still
arrives with its number is dropped by `Replies.is_live`, the one place that decides it. Holds the
scopes; must not hold a decision about when to close one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVarTuple

from antiphon.errors import ModelError, RemoteError, StageError, UsageError
from antiphon.frames import Frame, ReplyFrame
from antiphon.turns.ledger import Ledger

__all__ = ["Replies", "ReplyScope"]

Arguments = TypeVarTuple("Arguments")


class _Work:
    """One task that is busy with a reply right now."""

    __slots__ = ("cancelled", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelled = False

    def cancel(self) -> None:
        if not self.cancelled and not self.task.done():
            self.cancelled = True
            self.task.cancel()


class ReplyScope:
    """One reply of the agent: its number, its tasks, its sound's account, its times.

    Made by `Replies.open`. Tasks may be started in it and entered; `close` ends them.

    Attributes:
        number: Of the reply.
        ledger: What of it was played.
        committed: Its sound may leave. Until then it waits at the gate of the output.
        closed: It is over: cut off, or played to its end.
        marks: Loop times, in seconds, of the first occurrence of what `mark` was told.
    """

    def __init__(self, number: int, owner: Replies) -> None:
        self.number = number
        self.ledger = Ledger()
        self.committed = False
        self.closed = False
        self.marks: dict[str, float] = {}
        self._owner = owner
        self._progress = asyncio.Event()
        self._work: set[_Work] = set()
        self._on_commit: list[Callable[[], object]] = []
        self._on_close: list[Callable[[], object]] = []

    def start(
        self, work: Callable[[*Arguments], Coroutine[Any, Any, None]], *args: *Arguments, stage: str
    ) -> None:
        """Run `work(*args)` as a task of the pipeline until it ends or the scope closes.

        Args:
            work: A coroutine function. A `RemoteError` or `ModelError` that it raises fails the
                reply (see `Replies`); any other error ends the pipeline.
            args: Handed to it.
            stage: Named in errors and in the task's name.

        Raises:
            UsageError: The scope is closed.
        """
        if self.closed:
            raise UsageError(f"reply {self.number} is closed: nothing can be started in it")
        name = f"{stage}, reply {self.number}"
        self._owner.group.create_task(self._run(work, args, stage), name=name)

    async def _run(
        self,
        work: Callable[[*Arguments], Coroutine[Any, Any, None]],
        args: tuple[*Arguments],
        stage: str,
    ) -> None:
        if self.closed:
            return
        try:
            with self.entered():
                await work(*args)
        except (RemoteError, ModelError) as error:
            self._owner.on_failure(self, stage, error)
        except StageError:
            raise
        except Exception as error:
            raise StageError(stage, f"raised while it worked for reply {self.number}") from error

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the current task work for this reply: `close` cancels what runs inside the block.

        The block then ends without an error, and the task goes on after it. Cancellation from
        anywhere else passes through.
        """
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        work = _Work(task)
        self._work.add(work)
        try:
            yield
        except asyncio.CancelledError:
            if not (work.cancelled and task.uncancel() <= before):
                raise
        except BaseException:
            if work.cancelled:
                task.uncancel()
            raise
        else:
            if work.cancelled:
                task.uncancel()
        finally:
            self._work.discard(work)

    def commit(self) -> None:
        """Open the gate: the reply's sound may leave."""
        if not self.committed and not self.closed:
            self.committed = True
            for callback in self._on_commit:
                callback()

    def close(self) -> None:
        """End the reply: its tasks are cancelled, its callbacks called, its frames dropped.

        Harmless if it is closed already. May be called from one of its own tasks: that one is then
        cancelled at its next waiting line.
        """
        if self.closed:
            return
        self.closed = True
        self._owner.forget(self)
        current = asyncio.current_task()
        for work in tuple(self._work):
            if work.task is current:
                asyncio.get_running_loop().call_soon(self._cancel_later, work)
            else:
                work.cancel()
        for callback in self._on_close:
            callback()

    def _cancel_later(self, work: _Work) -> None:
        if work in self._work:
            work.cancel()

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the reply is committed; at once if it is."""
        if self.committed:
            callback()
        else:
            self._on_commit.append(callback)

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the reply is closed; at once if it is."""
        if self.closed:
            callback()
        else:
            self._on_close.append(callback)

    @property
    def seconds_ahead(self) -> float:
        """Seconds of the reply's sound that were made and not yet played."""
        return self.ledger.seconds_ahead

    async def wait_progress(self) -> None:
        """Wait until more of the reply has been played. Cancelling the wait changes nothing."""
        self._progress.clear()
        await self._progress.wait()

    def played(self, samples: int) -> None:
        """Enter that `samples` of the reply have been played by now, counted from its start."""
        if samples > self.ledger.played:
            self.ledger.played = samples
            self._progress.set()

    def mark(self, name: str) -> None:
        """Note the time of the first `name`, for the waterfall of the turn."""
        if name not in self.marks:
            self.marks[name] = asyncio.get_running_loop().time()


class Replies:
    """The replies of one pipeline that are not over.

    Args:
        group: The pipeline's task group; owns every task of every reply.
        on_failure: Told of the scope, the stage and the error when a provider or a model failed in
            one of a reply's tasks.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        on_failure: Callable[[ReplyScope, str, RemoteError | ModelError], None],
    ) -> None:
        self.group = group
        self.on_failure = on_failure
        self._open: dict[int, ReplyScope] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def open(self, number: int) -> ReplyScope:
        """Open the scope of a new reply.

        Raises:
            UsageError: A reply with that number is open.
        """
        if number in self._open:
            raise UsageError(f"reply {number} is open already")
        scope = self._open[number] = ReplyScope(number, self)
        self._idle.clear()
        return scope

    def get(self, number: int) -> ReplyScope | None:
        """The scope of a reply that is not over, else None."""
        return self._open.get(number)

    def is_live(self, frame: Frame) -> bool:
        """Whether `frame` may still be used: it belongs to no reply, or to one not over."""
        return not isinstance(frame, ReplyFrame) or frame.reply in self._open

    def forget(self, scope: ReplyScope) -> None:
        """Take a closed scope out of the register."""
        self._open.pop(scope.number, None)
        if not self._open:
            self._idle.set()

    def close_all(self) -> None:
        """Close every reply."""
        for scope in tuple(self._open.values()):
            scope.close()

    @property
    def is_idle(self) -> bool:
        """Whether no reply is open."""
        return not self._open

    async def wait_idle(self) -> None:
        """Wait until no reply is open. Cancelling the wait changes nothing."""
        await self._idle.wait()
