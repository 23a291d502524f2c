"""`PipelineRunner`: runs pipelines from a program's main function.

Holds the answer to Ctrl-C: the first lets what was begun be finished, the second ends at once. Must
not be used by a server, which has signals of its own.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from antiphon.options import Declared
from antiphon.pipeline.task import PipelineTask

__all__ = ["PipelineRunner"]


class PipelineRunner(Declared):
    """Runs one or several pipeline tasks to their end.

    Args:
        handle_signals: Answer SIGINT and SIGTERM: the first ends the tasks, the second cancels.
    """

    def __init__(self, *, handle_signals: bool = True) -> None:
        self._handle_signals = handle_signals

    async def run(self, *tasks: PipelineTask) -> None:
        """Run `tasks` side by side until all have ended.

        An error in one cancels the others. Cancelling this call cancels all.
        """
        with self._signals(tasks):
            try:
                async with asyncio.TaskGroup() as group:
                    for task in tasks:
                        group.create_task(task.run())
            except BaseExceptionGroup as errors:
                if len(errors.exceptions) == 1:
                    raise errors.exceptions[0] from errors.exceptions[0].__cause__
                raise

    @contextmanager
    def _signals(self, tasks: tuple[PipelineTask, ...]) -> Iterator[None]:
        if not self._handle_signals:
            yield
            return
        loop = asyncio.get_running_loop()
        asked = False

        def on_signal() -> None:
            nonlocal asked
            for task in tasks:
                task.cancel() if asked else task.end()
            asked = True

        added = []
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, on_signal)
            # Loops without signals (Windows, virtual time, another thread) leave Ctrl-C to Python.
            except (NotImplementedError, RuntimeError, ValueError):
                continue
            added.append(number)
        try:
            yield
        finally:
            for number in added:
                loop.remove_signal_handler(number)
