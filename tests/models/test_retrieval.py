from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from antiphon.context import LLMContext, Message, ToolCall, ToolDescription
from antiphon.errors import OptionError
from antiphon.models.facts import SMALL_TALK, Fact
from antiphon.models.retrieval import RetrievalLLM
from support.harbor_bikes import (
    ADDRESS,
    FACTS,
    FRESH,
    FRESH_OFF_TOPIC,
    HELMET,
    HOURS,
    ORDER,
    REFUND,
    RENTAL,
    TUNE_UP,
    TUNED,
    TUNED_OFF_TOPIC,
    TYRE,
)  # fmt: skip

ASK = "Which order number?"
TALK = [fact.text for fact in SMALL_TALK]


@pytest.fixture(scope="module")
def llm():
    return RetrievalLLM(FACTS)


def conversation(*said, tools=(ORDER,), instructions=""):
    """A conversation from texts, the person's first, and whole messages."""
    roles = ("user", "assistant")
    messages = [
        text if isinstance(text, Message) else Message(roles[number % 2], text)
        for number, text in enumerate(said)
    ]
    return LLMContext(instructions, tools=tools, messages=messages)


async def stream(llm, context):
    async with aclosing(llm.generate(context)) as items:
        return [item async for item in items]


async def answer(llm, *said, **options):
    items = await stream(llm, conversation(*said, **options))
    return "".join(items) if all(isinstance(item, str) for item in items) else items


def is_about(entry, said):
    """Whether what was said is the entry, or some sentences of it."""
    if isinstance(entry, ToolDescription):
        return said == ASK or (isinstance(said, list) and said[0].name == entry.name)
    return isinstance(said, str) and said != "" and all(
        f"{sentence.rstrip('.')}." in entry.text for sentence in said.split(". ")
    )  # fmt: skip


def call(number, id="call_1"):
    return [ToolCall(id, "order_status", {"number": number})]


# ---- the right fact --------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [TUNED, FRESH], ids=["tuned", "fresh"])
async def test_questions_get_their_fact(llm, asked):
    questions = [(question, entry) for entry, several in asked for question in several]
    assert len(questions) >= 30
    wrong = [
        (question, said)
        for question, entry in questions
        if not is_about(entry, said := await answer(llm, question))
    ]
    assert len(wrong) <= 0.05 * len(questions), wrong


@pytest.mark.parametrize("asked", [TUNED_OFF_TOPIC, FRESH_OFF_TOPIC], ids=["tuned", "fresh"])
async def test_what_is_off_topic_is_refused(llm, asked):
    assert len(asked) >= 15
    answered = [
        (question, said)
        for question in asked
        if not str(said := await answer(llm, question)).startswith("Sorry, I cannot help")
    ]
    assert len(answered) <= 0.1 * len(asked), answered


async def test_plain_texts_are_found_too():
    llm = RetrievalLLM([fact.text for fact in FACTS])
    questions = [(q, entry) for entry, several in TUNED + FRESH for q in several]
    right = [is_about(entry, await answer(llm, question)) for question, entry in questions]
    assert sum(right) >= 0.8 * len(right)
    refused = [str(await answer(llm, question))[:5] == "Sorry" for question in TUNED_OFF_TOPIC]
    assert sum(refused) >= 0.95 * len(refused)


async def test_only_the_sentences_that_fit_are_spoken(llm):
    assert await answer(llm, "How much is an electric bike?") == (
        "Electric bikes rent at 45 dollars a day."
    )
    assert await answer(llm, "How much are the city bikes?") == (
        "City bikes rent at 20 dollars a day."
    )
    assert await answer(llm, "What are your rental prices?") == RENTAL.text
    assert "closed on Sunday" in await answer(llm, "Are you open on Sunday?")


async def test_several_questions_at_once(llm):
    said = await answer(llm, "Hi there. What does a tune-up cost? And do I get a helmet?")
    assert said == f"{TUNE_UP.text} {HELMET.text}"
    assert is_about(TUNE_UP, await answer(llm, "Tune-up? How much is a tune-up?"))


# ---- with what was said before ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "text", "entry"),
    [
        ("Are you open on Friday?", "And on Saturday?", HOURS),
        ("When are you open?", "What about Sunday?", HOURS),
        ("Where are you?", "Saturday?", HOURS),
        ("How much is an electric bike?", "And a city bike?", RENTAL),
        ("How much is it to rent a bike?", "For three days?", RENTAL),
        ("Do you rent e-bikes?", "How much are they?", RENTAL),
        ("How much is a tune up?", "And a flat tire?", TYRE),
        ("What does a flat tire cost?", "How long does it take?", TYRE),
        ("How much is a tune-up?", "How long does that take?", TUNE_UP),
        ("Can I get a refund?", "Without the receipt?", REFUND),
        ("How much is a helmet?", "I bought one and want to return it.", REFUND),
        ("How much is a tune-up?", "And do I get a helmet?", HELMET),
        ("When are you open?", "And where is the shop?", ADDRESS),
        ("When are you open?", "Where are you?", ADDRESS),
        ("How much are 2 bikes for 30 days?", "And where is my order?", ORDER),
    ],
)
async def test_a_short_question_leans_on_the_one_before(llm, before, text, entry):
    assert is_about(entry, await answer(llm, before, "An answer.", text))


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("When are you open?", "And what's the weather like?"),
        ("Are you open on Sunday?", "Is it going to rain?"),
        ("When are you open?", "And a pizza?"),
        ("When are you open?", "Who won the game?"),
    ],
)
async def test_off_topic_does_not_lean(llm, before, text):
    assert str(await answer(llm, before, "An answer.", text)).startswith("Sorry, I cannot help")


# ---- small talk ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello.", TALK[0]),
        ("Hey, how are you?", TALK[0]),
        ("Thanks a lot.", TALK[1]),
        ("Thank you, that's all.", TALK[2]),
        ("Goodbye, have a nice day.", TALK[2]),
        ("No, that's it.", TALK[2]),
        ("Okay.", TALK[3]),
        ("Yes.", TALK[4]),
        ("Sorry, what did you say?", "We close at six."),
        ("Can you repeat that?", "We close at six."),
    ],
)
async def test_small_talk(llm, text, said):
    assert await answer(llm, "When do you close?", "We close at six.", text) == said


async def test_who_and_what_it_is(llm):
    topics = "I can help with opening hours, repairs, rentals, refunds and order status."
    assert await answer(llm, "Are you a robot?") == (
        f"I am a voice assistant, not a person. {topics}"
    )
    assert await answer(llm, "What can you do?") == f"{topics} What would you like to know?"
    assert await answer(llm, "Who is the president?") == f"Sorry, I cannot help with that. {topics}"
    assert await answer(llm, "Pardon?") == "I have not said anything yet."


async def test_small_talk_may_be_replaced(llm):
    own = RetrievalLLM(FACTS, small_talk=[Fact("Ahoy!", ("Hello.", "Good morning."))])
    assert await answer(own, "Good morning!") == "Ahoy!"
    assert await answer(own) == "Ahoy!"
    silent = RetrievalLLM(FACTS, small_talk=[], refusal="No.")
    assert await answer(silent, "Good morning!") == "No."
    assert await answer(silent) == "No."
    assert await answer(llm) == TALK[0], "nobody has said anything yet"


# ---- tools -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Where is order 4512?",
        "What's the status of my order? The number is four five one two.",
        "Has order number 45 12 shipped?",
        "I'd like to know when my order ships, number 4,512.",
    ],
)
async def test_a_tool_is_called_with_the_number_in_the_words(llm, text):
    assert await answer(llm, text) == call("4512")


async def test_what_is_missing_is_asked_for(llm):
    assert await answer(llm, "Where is my order?") == ASK
    for text in ("4512", "It's four five one two.", "45, 12.", "forty-five twelve"):
        assert await answer(llm, "Where is my order?", ASK, text) == call("4512")
    assert await answer(llm, "Where is my order?", ASK, "I don't have it here.") == ASK
    assert await answer(llm, "Where is my order?", "Which order", "4512") == call("4512")


async def test_another_question_instead_of_the_number(llm):
    said = await answer(llm, "Where is my order?", ASK, "Never mind, when are you open?")
    assert is_about(HOURS, said)
    assert await answer(llm, "Where is my order?", ASK, "Thanks, bye.") == TALK[2]


async def test_the_next_number_and_the_last_one(llm):
    before = ("Where is my order 4512?", "It ships tomorrow.")
    assert await answer(llm, *before, "Okay, and order 4513?") == call("4513")
    assert await answer(llm, *before, "Has it left?") == call("4512")


def after_call(result, *more):
    asked = ToolCall("call_1", "order_status", {"number": "4512"})
    return (
        "Where is my order 4512?",
        Message("assistant", "", calls=(asked,)),
        Message("tool", result, call_id="call_1"),
        *more,
    )


async def test_what_a_tool_gave_is_spoken(llm):
    assert await answer(llm, *after_call("It ships tomorrow.")) == "It ships tomorrow."
    went_on = Message("user", "And where are you?")
    said = await answer(llm, *after_call("It ships tomorrow.", went_on))
    assert said == f"It ships tomorrow. {ADDRESS.text}"
    spoken = (Message("assistant", "It ships tomorrow."), went_on)
    assert await answer(llm, *after_call("It ships tomorrow.", *spoken)) == ADDRESS.text


@pytest.mark.parametrize("result", ["The function order_status failed: OSError.",
                                    "The function order_status took longer than 20 seconds."])  # fmt: skip
async def test_a_tool_that_failed_is_told_in_words_for_the_caller(llm, result):
    said = await answer(llm, *after_call(result))
    assert said == "Sorry, I could not look that up just now."


async def test_calls_are_numbered_through_the_conversation(llm):
    said = [
        *after_call("It ships.", Message("assistant", "It ships.")),
        Message("user", "Order 7?"),
    ]
    assert await answer(llm, *said) == call("7", id="call_2")


async def test_a_tool_without_arguments(llm):
    tool = ToolDescription("open_gate", "Opens the gate. Can you open the gate?")
    assert await answer(llm, "Please open the gate.", tools=[tool]) == [
        ToolCall("call_1", "open_gate", {})
    ]


# ---- the service -----------------------------------------------------------------------------


async def test_it_streams_word_by_word(llm):
    items = await stream(llm, conversation("Do I get a helmet?"))
    assert items == ["Helmets", " are", " free", " with", " every", " rental."]


async def test_it_may_be_closed_after_any_word(llm):
    items = llm.generate(conversation("Do I get a helmet?"))
    assert await anext(items) == "Helmets"
    await items.aclose()
    assert await answer(llm, "Do I get a helmet?") == HELMET.text


async def test_instructions_are_facts_if_there_are_none():
    llm = RetrievalLLM()
    told = "You are a kind receptionist. We open at nine.\n- Dogs are welcome.\nKeep it short."
    assert await answer(llm, "When do you open?", instructions=told) == "We open at nine."
    assert await answer(llm, "Can I bring my dog?", instructions=told) == "Dogs are welcome."
    assert await answer(llm, "Can I bring my dog?", tools=()) == "Sorry, I cannot help with that."
    assert "kind" not in await answer(llm, "Are you a kind receptionist?", instructions=told)


@pytest.mark.parametrize("text", ["", " ", "...", "🙂", "日本語", "a" * 5000, "{topics} {last}"])
async def test_odd_words_get_an_answer(llm, text):
    assert await answer(llm, text)


@pytest.mark.real_time
async def test_many_sessions_at_once(llm):
    fresh = RetrievalLLM(FACTS)
    said = []

    async def ask(question):
        await fresh.prewarm()
        said.append((question, await answer(fresh, question)))

    questions = ["Do I get a helmet?", "Where are you?", "Where is order 4512?"] * 4
    async with asyncio.TaskGroup() as group:
        for question in questions:
            group.create_task(ask(question))
    expected = {question: await answer(llm, question) for question in questions}
    assert len(said) == len(questions)
    assert all(answer == expected[question] for question, answer in said)


async def test_options(llm):
    strict = RetrievalLLM(FACTS, threshold=0.9)
    assert (await answer(strict, "Can I bring back a jacket?")).startswith("Sorry")
    with pytest.raises(OptionError, match="threshold=2"):
        RetrievalLLM(threshold=2)
    with pytest.raises(OptionError, match="did you mean 'threshold'"):
        RetrievalLLM(treshold=0.3)
