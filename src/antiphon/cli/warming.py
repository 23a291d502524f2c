"""Loading an agent's services side by side, and showing what is loaded and how long it took.

Must not hold what is loaded: the services know.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from antiphon.agent.agent import Agent
from antiphon.cli.printing import Waiting
from antiphon.services.base.service import Service

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["warm"]

_PURPOSES = {
    "vad": "hears voices",
    "stt": "understands words",
    "turn_detector": "hears the turn end",
    "llm": "answers",
    "tts": "speaks",
}


async def warm(agent: Agent, console: Console) -> float:
    """Make every service of `agent` ready, all at once, and show each.

    Returns:
        The seconds that it took.

    Raises:
        ModelError: A model's files are missing or damaged.
        RemoteError: A provider refuses.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    services: dict[str, Service] = {}
    for kind in _PURPOSES:
        service = getattr(agent, kind)
        if service is not None:
            services[kind] = service
    what = [(kind, service.name, _PURPOSES[kind]) for kind, service in services.items()]

    async def one(kind: str, service: Service) -> None:
        await service.prewarm()
        waiting.ready(kind, loop.time() - began)

    try:
        with Waiting(console, what) as waiting:
            async with asyncio.TaskGroup() as group:
                for kind, service in services.items():
                    group.create_task(one(kind, service), name=f"prewarm of {service.name}")
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    return loop.time() - began
