"""Whether the agent's models are loaded, and what went wrong if they cannot be.

Must not know what is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from antiphon.server.failures import describe

__all__ = ["Readiness"]

_log = logging.getLogger("antiphon.server")


class Readiness:
    """Loads once, and remembers how it went.

    Args:
        prewarm: Loads; None: there is nothing to load.

    Attributes:
        problem: What `prewarm` raised.
    """

    def __init__(self, prewarm: Callable[[], Awaitable[None]] | None) -> None:
        self.problem: Exception | None = None
        self._prewarm = prewarm
        self._is_loaded = prewarm is None

    async def prepare(self) -> None:
        """Load. An error is kept in `problem`: who runs the server decides what follows."""
        if self._prewarm is None:
            return
        try:
            await self._prewarm()
        # Whatever it is, no session can be served: it ends the server (see `serving`).
        except Exception as error:  # noqa: BLE001
            _log.error("the agent could not be loaded: %s", describe(error))
            self.problem = error
        else:
            self._is_loaded = True

    def trouble(self) -> str | None:
        """Why no session can be served yet; None if one can."""
        if self.problem is not None:
            return "the agent could not be loaded"
        return None if self._is_loaded else "loading"
