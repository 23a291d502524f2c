"""What the suites share: a service that is made ready and let go, and what it must leave behind.

Must not hold anything about one contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

from antiphon.services.base.service import Service
from antiphon.testing.task_report import describe_tasks

__all__ = ["ServiceConformance", "took"]

AnyService = TypeVar("AnyService", bound=Service)


class ServiceConformance(Generic[AnyService]):
    """Base of the suites for services.

    Attributes:
        stops_within: Seconds in which cancelled work must have stopped.
        patience: Seconds that anything may take before the test fails.
    """

    stops_within: float = 0.05
    patience: float = 30.0

    def make(self) -> AnyService:
        """Make the service under test; called once for each test."""
        raise NotImplementedError("say how the service is made")

    @asynccontextmanager
    async def running(self, service: AnyService | None = None) -> AsyncIterator[AnyService]:
        """The service, ready; closed afterwards, and no task of it left."""
        service = service or self.make()
        before = asyncio.all_tasks()
        async with asyncio.timeout(self.patience):
            await service.prewarm()
            try:
                yield service
            finally:
                await service.close()
        left = describe_tasks(asyncio.all_tasks() - before)
        assert not left, "tasks are left alive:\n" + "\n".join(left)

    async def test_it_may_be_made_ready_by_several_sessions_at_once(self) -> None:
        """`prewarm` is called by every session; `close` and use again are allowed."""
        async with self.running() as service:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(service.prewarm())
            await service.close()
            await service.prewarm()

    def test_it_has_a_name(self) -> None:
        """Errors, the waterfall and usage reports name it."""
        name = self.make().name
        assert name, "give it a name"
        assert name != Service.name, "give it a name of its own"

    async def check_stops(self, stream: AsyncGenerator[Any, None], outputs: int) -> None:
        """Take `outputs` outputs, then cancel the wait for the next: it must end at once.

        A stream that ends before is fine; it is then closed.
        """
        waiting = asyncio.Event()

        async def consume() -> None:
            try:
                for _ in range(outputs):
                    await anext(stream)
                waiting.set()
                await anext(stream)
            except StopAsyncIteration:
                pass
            finally:
                waiting.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(consume())
            await waiting.wait()
            await asyncio.sleep(0)
            with took(self.stops_within, "the cancelled wait"):
                task.cancel()
                await asyncio.wait([task])
        with took(self.stops_within, "aclose() after a cancellation"):
            await stream.aclose()

    async def check_closes(self, stream: AsyncGenerator[Any, None], outputs: int) -> None:
        """Take `outputs` outputs, then close the stream: it must end at once."""
        for _ in range(outputs):
            try:
                await anext(stream)
            except StopAsyncIteration:
                break
        with took(self.stops_within, "aclose()"):
            await stream.aclose()


@contextmanager
def took(seconds: float, what: str) -> Iterator[None]:
    """Fail if the block takes longer on the loop's clock."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    yield
    spent = loop.time() - began
    assert spent <= seconds, f"{what} took {spent:.3f} s; {seconds:g} s are allowed"
