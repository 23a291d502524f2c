"""What `RetrievalLLM` knows: facts, small talk, and what people ask anybody.

Holds data and its type, and how instructions are read as facts. Must not hold how a fact is found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ELSEWHERE", "SMALL_TALK", "Fact", "facts_in", "sentences_in"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the agent knows.

    Attributes:
        text: What it says. Of several sentences only those that fit the question are spoken.
        questions: What people say who want to know it; three make it much easier to find.
        topic: What it is about, as the refusal names it, such as ``"opening hours"``.
    """

    text: str
    questions: tuple[str, ...] = ()
    topic: str = ""


SMALL_TALK = (
    Fact("Hello! How can I help you?", ("Hello.", "Hi, how are you?", "Good morning.")),
    Fact(
        "You're welcome. Is there anything else?",
        ("Thank you.", "Great, thanks.", "You are very helpful."),
    ),
    Fact(
        "Thank you for calling. Goodbye!",
        ("Goodbye.", "Bye, have a nice day.", "See you later.", "No, that's all."),
    ),
    Fact("Is there anything else?", ("Okay.", "Perfect.", "All right, good.")),
    Fact("What would you like to know?", ("Yes.", "Yes, please.", "I have a question.")),
    Fact(
        "I am a voice assistant, not a person. {topics}",
        ("Who are you?", "Are you a robot?", "Can I talk to a person?", "How old are you?"),
    ),
    Fact("{topics} What would you like to know?", ("What can you do?", "Can you help me?")),
    Fact("{last}", ("Sorry, what did you say?", "Can you repeat that?", "Pardon?")),
)
"""What is said to what is no question about the facts; the first is said to a silent caller too.

``{topics}`` stands for a sentence that names the facts' topics, ``{last}`` for what the agent said
last.
"""

ELSEWHERE = (
    "What is the weather like?",
    "What time is it?",
    "Tell me a joke.",
    "Play some music.",
    "Book a flight and a hotel.",
    "I want something to eat.",
    "Who won the game?",
    "Who is the president?",
    "What is the capital of that country?",
    "How do I get to the airport?",
    "How do you cook this?",
    "What does this word mean?",
    "How much is three times four?",
    "I feel ill and need a doctor.",
    "My computer is broken.",
    "Turn on the light.",
    "Call somebody for me.",
    "When is the next bus?",
    "Is there a restaurant near here?",
    "Write a poem.",
    "Explain how this works in science.",
    "Which film or book do you recommend?",
    "I want to talk about money and my bank.",
    "How tall is that?",
)
"""What people ask anybody: a question that is nearer to these than to any fact is refused."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|\s*\n\s*")
_TO_THE_MODEL = re.compile(
    r"(?:you|your|you're|speak|answer|reply|respond|be|always|never|do|don't|keep|use|say|ask)\b",
    re.IGNORECASE,
)


def sentences_in(text: str) -> list[str]:
    """Cut a text into its sentences, without spaces around them."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def facts_in(instructions: str) -> Sequence[Fact]:
    """Read instructions for a language model as facts: each sentence that does not address it."""
    sentences = (part.lstrip("-*# ") for part in sentences_in(instructions))
    return [Fact(part) for part in sentences if part and not _TO_THE_MODEL.match(part)]
