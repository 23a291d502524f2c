"""Whisper: English, or many languages, to words, with words that come while the person speaks.

Holds the service. What a session listens to is decided in `whisper_session`; reading is done by
`whisper_engine`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, Literal

from antiphon.errors import OptionError
from antiphon.frames import Transcript
from antiphon.models.manifest import Manifest
from antiphon.models.shared import Shared
from antiphon.models.store import Store
from antiphon.options import one_of, within
from antiphon.services.base.stt import STT, STTInput

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.models.whisper_engine import WhisperEngine
    from antiphon.models.whisper_session import WhisperSession

__all__ = ["WhisperSTT"]

# Source: Whisper's `tokenizer.py`, in the order of its vocabulary.
_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta "
    "no th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk "
    "sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb "
    "my bo tl mg as tt haw ln ha ba jw su"
)


class WhisperSTT(STT):
    """Turns speech into words with Whisper, on this machine.

    Whisper does not stream: final words are read when the voice stops, interim ones by reading
    again what was said so far. An interim that heard all of the voice is taken for the final: three
    of four finals are there at once, the others after 70 ms (``"base"``: 130 ms).

    Args:
        model: ``"tiny.en"``: English. ``"base"``: many languages, a third of the wrong words, twice
            the work. Source: measured on 50 spoken orders, like the times above.
        interim: Also give words while the person speaks.
        interim_period: Seconds of speech between two interims, 0.2 to 5. In a pause one comes at
            once.
        interim_cpu: Share of one core that interims may use in a session while there is voice; 0
            to 1. They come later where it would be exceeded. All sessions together use at most
            one core.
        language: What is spoken, as Whisper names it; ``"tiny.en"`` knows ``"en"`` only.
        threads: Threads that read one stretch of speech, 1 to 8. More than 1 makes it slower on a
            machine with two cores. Source: measured: 65 ms with 1, 82 ms with 2.
        store: Where the model lies; the user's own store unless given.

    Raises:
        OptionError: A value is out of range, or the model does not know the language.
    """

    def __init__(
        self,
        *,
        model: Literal["tiny.en", "base"] = "tiny.en",
        interim: bool = True,
        interim_period: float = 0.5,
        interim_cpu: float = 0.25,
        language: str = "en",
        threads: int = 1,
        store: Store | None = None,
    ) -> None:
        one_of("WhisperSTT", "model", model, ("tiny.en", "base"))
        within("WhisperSTT", "interim_period", interim_period, 0.2, 5.0, "seconds")
        within("WhisperSTT", "interim_cpu", interim_cpu, 0.0, 1.0, "cores")
        within("WhisperSTT", "threads", threads, 1, 8, "threads")
        one_of("WhisperSTT", "language", language, _LANGUAGES.split())
        if model == "tiny.en" and language != "en":
            problem = f"WhisperSTT: tiny.en knows English only, not language={language!r}"
            raise OptionError(f'{problem}; model="base" knows it')
        self.name = f"whisper/{model}"
        self._period = interim_period
        self._cpu = interim_cpu if interim else 0.0
        store = store or Store()
        self._prompt = _prompt(model, language)
        self._shared = _shared(store.folder, store.manifest, f"whisper-{model}", int(threads))

    async def prewarm(self) -> None:
        """Load the model, once per process.

        Raises:
            ModelError: Its files are missing or damaged, or CTranslate2 is not installed.
        """
        await self._shared.get()

    async def transcribe(self, audio: AsyncIterator[STTInput]) -> AsyncGenerator[Transcript, None]:
        """Transcribe one session; see `STT.transcribe`.

        Segments are counted from 1. After a pause of less than 1.5 s, and before `TurnCommitted`, a
        segment goes on unless it is 12 s long. One of 25 s is ended at its quietest point. A voice
        in which no words are found has a final with the text "".

        When closed or cancelled, it ends at once; what a thread still reads is dropped.

        Raises:
            ModelError: The model cannot be loaded.
            UsageError: The sound is no mono s16le at 16 kHz.
        """
        engine = await self._shared.get()
        # Imported here: it needs numpy.
        from antiphon.models.whisper_segments import Interims
        from antiphon.models.whisper_session import WhisperSession

        session = WhisperSession(engine, self._prompt, Interims(self._period, self._cpu))
        # Two things wake this generator: new sound and a finished reading. `anext(audio)` cannot be
        # given up half-way without ending `audio`, so a task of its own reads it. A task group
        # across a `yield` is sound here since that task never fails, which would cancel whoever
        # happens to run this generator; since no exception but a cancellation leaves the block; and
        # since its end is bounded by one cancellation of `audio`.
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(_feed(session, audio), name=f"{self.name} hears")
            try:
                while (transcript := await session.next()) is not None:
                    yield transcript
            except GeneratorExit:
                # The task group would wrap it; a return is what it asks for.
                return
            finally:
                session.close()
                reader.cancel()
        if session.failure is not None:
            raise session.failure


async def _feed(session: WhisperSession, audio: AsyncIterator[STTInput]) -> None:
    try:
        async for item in audio:
            session.hear(item)
        session.finish()
    # Raised again by the generator that waits for the session.
    except Exception as error:  # noqa: BLE001
        session.fail(error)


def _prompt(model: str, language: str) -> tuple[str, ...]:
    """The special tokens that tell Whisper what to do."""
    languages = () if model == "tiny.en" else (f"<|{language}|>", "<|transcribe|>")
    return ("<|startoftranscript|>", *languages, "<|notimestamps|>")


@cache
def _shared(folder: Path, manifest: Manifest, name: str, threads: int) -> Shared[WhisperEngine]:
    store = Store(folder, manifest=manifest)

    def load() -> WhisperEngine:
        from antiphon.models.whisper_engine import WhisperEngine

        return WhisperEngine(store.directory(name), threads)

    return Shared(name, load)
