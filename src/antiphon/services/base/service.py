"""What every service has: a name, a way to become ready, a way to let go."""

from __future__ import annotations

from antiphon.options import Declared

__all__ = ["Service"]


class Service(Declared):
    """Base of STT, LLM, TTS, VAD and turn detectors.

    One object may serve many sessions at once: what belongs to one session lives in the generator
    or stream that it hands out.

    Attributes:
        name: As it stands in errors, in the waterfall and in usage reports, such as
            ``"whisper/tiny.en"``.
    """

    name: str = "service"

    async def prewarm(self) -> None:
        """Connect or load ahead, so that the first turn is as fast as the others.

        May be called many times and by several sessions at once.

        Raises:
            ModelError: A model's files are missing or damaged.
            RemoteError: The provider refuses.
        """

    async def close(self) -> None:
        """Let go of connections. The service may be used again afterwards."""
