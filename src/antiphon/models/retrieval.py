"""`RetrievalLLM`: answers from facts that it is given, offline, the same way every time.

It finds the fact whose meaning is nearest to the question and speaks it; what is near to none it
refuses. Holds the service and the choice of what to say. Must not hold the model (`minilm`), what
is known to everybody (`facts`), nor how a tool is called (`tool_calls`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from antiphon.context import LLMContext, ToolCall, ToolDescription
from antiphon.models import shared
from antiphon.models.facts import ELSEWHERE, SMALL_TALK, Fact, facts_in, sentences_in
from antiphon.models.tool_calls import asked_tool, call_or_ask, unspoken_results
from antiphon.options import within
from antiphon.pipeline.offload import offload
from antiphon.services.base import LLM, LLMOutput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from antiphon.models.minilm import MiniLM

__all__ = ["RetrievalLLM"]

_Entry: TypeAlias = Fact | ToolDescription

_ASKED = 0.1
"""Taken off the likeness of two questions: they are alike by being questions."""
_MARGIN = 0.05
"""How much nearer a fact must be than what people ask anybody."""
_SURE = 0.45
"""Likeness from which a question is understood without the one before."""
_TALK = 0.4
"""Least likeness of small talk: it is so short that much is a little like it."""
_ANYBODY = 0.3
"""Likeness to what people ask anybody up to which a question may lean on the one before."""
_BESIDE = 0.1
"""Sentences of a fact are spoken that are so close to its best one."""
_MOST_TEXTS = 4096
"""Texts whose places are kept (6 MB)."""

_OPENER = re.compile(
    r"(?:(?:okay|ok|so|well|um|uh|oh|thanks|great|right)[\s,.]+)*"
    r"(?:and|or|but|what about|how about|also|for|on|at|in|with|without|then|the)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(r"\b(?:it|that|they|those|them|these|ones?)\b", re.IGNORECASE)
_LONGEST_LEANING = 8
"""Words that a question which leans on the one before may have."""


class RetrievalLLM(LLM):
    """Speaks the fact that fits the question best, or calls the tool that does.

    No language model: it says only what it was given, refuses what is off-topic, and gives the same
    answer to the same conversation. A short question such as "and on Saturday?" is understood with
    the one before it. A tool is chosen by its description, in which examples of questions help, and
    called when its required arguments can be read from the words; else it asks for the first that
    is missing. What a tool gave is spoken as it is. Takes 8 ms for a question, in a thread.

    Args:
        facts: What it knows; plain texts or `Fact`. If there are none, the sentences of the
            conversation's instructions that do not address the model.
        refusal: Said when nothing fits. ``{topics}`` stands for a sentence with the facts' topics.
        small_talk: What is said to greetings, thanks and the like; its first text is also said when
            the person has said nothing yet.
        threshold: Least likeness of a question and a fact, from 0 for unrelated to 1 for the same
            text; 0.1 more for the likeness of two questions. A higher one refuses more.

    Raises:
        OptionError: `threshold` is outside 0 to 1.

    Source: the numbers in this module were chosen on 90 questions to 7 facts and a tool, and 39
    off-topic ones. With three questions for each fact, 97 % of these and 35 of 35 new ones got
    their fact; all off-topic ones were refused, and 19 of 20 new ones. Plain texts: 84 %, 30 of 35.
    """

    name = "retrieval"

    def __init__(
        self,
        facts: Sequence[str | Fact] = (),
        *,
        refusal: str = "Sorry, I cannot help with that. {topics}",
        small_talk: Sequence[Fact] = SMALL_TALK,
        threshold: float = 0.25,
    ) -> None:
        within("RetrievalLLM", "threshold", threshold, 0.0, 1.0, "likeness")
        self._facts = tuple(Fact(fact) if isinstance(fact, str) else fact for fact in facts)
        self._refusal = refusal
        self._small_talk = tuple(small_talk)
        self._threshold = threshold
        self._places: dict[str, NDArray[np.float32]] = {}
        self._filling = threading.Lock()

    async def prewarm(self) -> None:
        """Load the model and place the facts.

        Raises:
            ModelError: The model's files are missing or damaged.
        """
        model = await _load()
        known = [text for fact in self._facts for text, _ in _texts(fact)]
        talk = [question for fact in self._small_talk for question in fact.questions]
        await offload(self._place, model, [*ELSEWHERE, *talk, *known])

    async def generate(self, context: LLMContext) -> AsyncGenerator[LLMOutput, None]:
        """Answer the conversation, word by word.

        When closed or cancelled it ends at once.

        Raises:
            ModelError: The model's files are missing or damaged.
        """
        model = await _load()
        space = ""
        for part in await offload(self._answer, model, context):
            if isinstance(part, ToolCall):
                yield part
                continue
            for word in part.split():
                yield f"{space}{word}"
                space = " "

    # ---- what to say, in a thread ---------------------------------------------------------

    def _answer(self, model: MiniLM, context: LLMContext) -> list[str | ToolCall]:
        answer: list[str | ToolCall] = [*unspoken_results(context)]
        last = context.messages[-1] if context.messages else None
        if last is not None and last.role == "user":
            answer += self._reply(model, context, last.text)
        elif not answer:
            greeting = self._small_talk[0].text if self._small_talk else self._refusal
            answer.append(self._filled(greeting, context))
        return answer

    def _reply(self, model: MiniLM, context: LLMContext, text: str) -> list[str | ToolCall]:
        earlier = [message.text for message in context.messages[:-1] if message.role == "user"]
        before = earlier[-1] if earlier else ""
        asked = asked_tool(context)
        if asked is not None:
            part = call_or_ask(asked, context, [before, text], is_answer=True)
            if isinstance(part, ToolCall):
                return [part]
        chosen = self._choose_all(model, context, text, before)
        if not chosen:
            refusal = self._filled(self._refusal, context)
            return [refusal if asked is None else call_or_ask(asked, context, [before, text])]
        return [
            self._filled(self._fitting(model, entry, words[-1]), context)
            if isinstance(entry, Fact)
            else call_or_ask(entry, context, words)
            for entry, words in chosen
        ]

    def _choose_all(
        self, model: MiniLM, context: LLMContext, text: str, before: str
    ) -> list[tuple[_Entry, list[str]]]:
        """Choose what answers `text`, with the words that it answers; one or several questions."""
        questions = [part for part in sentences_in(text) if part.endswith("?")]
        if len(questions) > 1:
            each = [(self._choose(model, context, part, "", _SURE), [part]) for part in questions]
            known = {
                id(entry): (entry, words)
                for entry, words in reversed(each)
                if entry is not None and entry not in self._small_talk
            }
            if len(known) > 1:
                return list(reversed(known.values()))
        entry = self._choose(model, context, text, before, self._threshold)
        if entry is None:
            return []
        # The one before may hold what the tool needs, if it was about the same: "has it shipped?".
        is_same = before and _leans(text) and isinstance(entry, ToolDescription)
        if is_same and self._choose(model, context, before, "", self._threshold) is entry:
            return [(entry, [before, text])]
        return [(entry, [text])]

    def _choose(
        self, model: MiniLM, context: LLMContext, text: str, before: str, threshold: float
    ) -> _Entry | None:
        entries: list[_Entry] = [*(self._facts or facts_in(context.instructions)), *context.tools]
        leaning = f"{before} {text}" if before and _leans(text) else ""
        questions = model.embed([text, leaning] if leaning else [text])
        own = self._likeness(model, [_texts(entry) for entry in entries], questions[0])
        near = max(own, default=0.0)
        talk = self._likeness(model, [_asked(f.questions) for f in self._small_talk], questions[0])
        if max(talk, default=0.0) >= max(_TALK, near):
            return self._small_talk[talk.index(max(talk))]
        (anybody,) = self._likeness(model, [_asked(ELSEWHERE)], questions[0])
        if leaning and entries and (near < _SURE or _POINTS_BACK.search(text)):
            both = self._likeness(model, [_texts(entry) for entry in entries], questions[1])
            best = max(range(len(entries)), key=lambda number: both[number] + own[number] / 2)
            if both[best] >= threshold and (anybody < _ANYBODY or own[best] >= anybody + _MARGIN):
                return entries[best]
        if near >= threshold and near >= anybody + _MARGIN:
            return entries[own.index(near)]
        return None

    def _fitting(self, model: MiniLM, fact: Fact, question: str) -> str:
        """The sentences of a fact that fit the question."""
        sentences = sentences_in(fact.text)
        if len(sentences) < 2 or fact in self._small_talk:
            return fact.text
        near = self._place(model, sentences) @ model.embed([question])[0]
        return " ".join(
            sentence
            for sentence, likeness in zip(sentences, near, strict=True)
            if likeness >= near.max() - _BESIDE
        )

    def _filled(self, text: str, context: LLMContext) -> str:
        names = [fact.topic for fact in self._facts if fact.topic]
        names = list(dict.fromkeys([*names, *(t.name.replace("_", " ") for t in context.tools)]))
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        last = context.last("assistant")
        text = text.replace("{topics}", f"I can help with {listed}." if names else "")
        return text.replace("{last}", last.text if last else "I have not said anything yet.")

    # ---- places of texts ------------------------------------------------------------------

    def _likeness(
        self, model: MiniLM, groups: Sequence[_Texts], question: NDArray[np.float32]
    ) -> list[float]:
        """How near the nearest text of each group is to a question."""
        import numpy as np

        if not groups:
            return []
        texts = [text for group in groups for text, _ in group]
        near = self._place(model, texts) @ question
        near -= np.asarray([off for group in groups for _, off in group], np.float32)
        begins = np.cumsum([0, *map(len, groups[:-1])])
        likeness: list[float] = np.maximum.reduceat(near, begins).tolist()
        return likeness

    def _place(self, model: MiniLM, texts: Sequence[str]) -> NDArray[np.float32]:
        """Places of `texts`, shape (texts, 384); each is computed once."""
        import numpy as np

        with self._filling:
            missing = [text for text in dict.fromkeys(texts) if text not in self._places]
            if len(self._places) + len(missing) > _MOST_TEXTS:
                self._places.clear()
                missing = list(dict.fromkeys(texts))
            self._places.update(zip(missing, model.embed(missing), strict=True))
            return np.stack([self._places[text] for text in texts])


_Texts: TypeAlias = list[tuple[str, float]]
"""Texts that stand for one thing, each with what is taken off its likeness."""


async def _load() -> MiniLM:
    # Imported here: the module needs numpy.
    from antiphon.models.minilm import load_minilm

    model: MiniLM = await shared.load("minilm", load_minilm)
    return model


def _asked(questions: Sequence[str]) -> _Texts:
    return [(question, _ASKED) for question in questions]


def _texts(entry: _Entry) -> _Texts:
    if isinstance(entry, ToolDescription):
        told = [entry.name.replace("_", " "), *sentences_in(entry.description)]
        return [(text, _ASKED if text.endswith("?") else 0.0) for text in told]
    told = list(dict.fromkeys([entry.text, *sentences_in(entry.text)]))
    return [(text, 0.0) for text in told] + _asked(entry.questions)


def _leans(text: str) -> bool:
    """Whether a question may need the one before it to be understood."""
    words = len(text.split())
    return words <= 2 or (
        words <= _LONGEST_LEANING and bool(_OPENER.match(text) or _POINTS_BACK.search(text))
    )
