from __future__ import annotations

import asyncio

import pytest

from antiphon import PipelineParams, Tool, TurnOptions
from antiphon.agent.tools import run_tool
from antiphon.context import ToolCall
from antiphon.errors import OptionError
from antiphon.frames import ServiceFailed, ToolCallEnded, TurnCommitted
from antiphon.testing import HangUp, Listen, Pause, ScriptedLLM, ScriptedSTT, Speak, call

# The person asks from 1.0 to 2.0 s, the model is asked at 2.2 and calls at 2.4; see conftest.
ASK = [Pause(1.0), Speak(1.0)]
ASK_AND_LISTEN = (*ASK, Listen(silence=2.0))
CALL = ToolCall("call-1", "order_status", {"number": 4512})


class OrderStatus:
    """A function that takes its time and notes what was asked of it."""

    def __init__(self, seconds=1.0, result="It ships tomorrow", name="order_status"):
        self.seconds = seconds
        self.result = result
        self.name = name
        self.began: list[float] = []
        self.ended: list[float] = []
        self.asked: list[dict] = []

    async def run(self, arguments):
        now = asyncio.get_running_loop().time
        self.began.append(now())
        self.asked.append(dict(arguments))
        await asyncio.sleep(self.seconds)
        self.ended.append(now())
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def tool(self, **options):
        return Tool(name=self.name, description="Tells of an order.", run=self.run, **options)


@pytest.fixture
def caller_asks(make_agent):
    """One call to an agent with tools, whose model gives these replies."""

    async def ask(replies, *tools, script=ASK_AND_LISTEN, params=None, **options):
        agent = make_agent(llm=ScriptedLLM(replies), tools=tools, **options)
        return agent, await call(agent, script, params=params)

    return ask


def kinds(messages):
    """The conversation as one line for each message."""
    return [
        f"call {message.calls[0].name}" if message.calls else f"{message.role}: {message.text}"
        for message in messages
    ]


# ---- a function by itself --------------------------------------------------------------------


async def test_a_function_is_run_with_its_arguments():
    status = OrderStatus(0.5)
    ended = await run_tool({"order_status": status.tool()}, 7, CALL)
    assert ended == ToolCallEnded(7, CALL, "It ships tomorrow", 0.5)
    assert status.asked == [{"number": 4512}]


async def test_a_function_that_does_not_exist():
    tools = {name: OrderStatus(name=name).tool() for name in ("refund", "hours")}
    ended = await run_tool(tools, 1, CALL)
    assert ended.failed
    assert ended.result == "There is no function order_status. Known: hours, refund."
    assert (await run_tool({}, 1, CALL)).result.endswith("Known: none.")


async def test_a_function_that_raises_says_so_without_what_it_raised():
    status = OrderStatus(result=ValueError("card 4111 1111 is refused"))
    ended = await run_tool({"order_status": status.tool()}, 1, CALL)
    assert ended.failed
    assert ended.result == "The function order_status failed: ValueError."


async def test_a_function_that_takes_too_long_is_cancelled():
    status = OrderStatus(100.0)
    ended = await run_tool({"order_status": status.tool(timeout=3.0)}, 1, CALL)
    assert ended.failed
    assert ended.seconds == 3.0
    assert ended.result == "The function order_status took longer than 3 seconds."
    assert not status.ended


async def test_a_function_that_is_cancelled_gives_no_result():
    status = OrderStatus(100.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await run_tool({"order_status": status.tool()}, 1, CALL)
    assert not status.ended


@pytest.mark.parametrize("timeout", [0.0, 1000.0, "3"])
def test_the_time_that_it_may_take_is_checked(timeout):
    with pytest.raises(OptionError, match="timeout"):
        OrderStatus().tool(timeout=timeout)


def test_a_misspelt_option_is_named():
    with pytest.raises(OptionError, match="did you mean 'description'"):
        Tool(name="x", descripton="y", run=OrderStatus().run)


# ---- in a call -------------------------------------------------------------------------------


async def test_a_function_is_called_and_its_result_is_told(caller_asks):
    status = OrderStatus(1.0)
    agent, record = await caller_asks([[CALL], ["It ships tomorrow"]], status.tool())
    assert (status.began, status.ended) == ([2.4], [3.4])
    ((at, ended),) = record.frames_of(ToolCallEnded)
    assert (at, ended.seconds, ended.failed) == (3.4, 1.0, False)
    assert record.agent_spans == ((3.72, 5.42),)
    assert kinds(record.messages) == [
        "user: what are your hours",
        "call order_status",
        "tool: It ships tomorrow",
        "assistant: It ships tomorrow",
    ]
    call_message, result = record.messages[1:3]
    assert call_message.calls == (CALL,)
    assert result.call_id == CALL.id
    # The model is told of the function, then of its result.
    first, second = agent.llm.requests
    assert [tool.name for tool in first.context.tools] == ["order_status"]
    assert kinds(second.context.messages) == kinds(record.messages[:3])
    ((at, told),) = record.events_of("tool")
    assert (at, told) == (
        3.4,
        {"type": "tool", "name": "order_status", "ms": 1000.0, "failed": False},
    )


async def test_what_is_said_before_the_call_is_heard_while_it_runs(caller_asks):
    replies = [["Let me see", CALL], ["It ships tomorrow"]]
    _, record = await caller_asks(replies, OrderStatus(3.0).tool())
    assert record.agent_spans == ((2.52, 3.52), (5.6, 7.3))
    assert kinds(record.messages)[-1] == "assistant: Let me see It ships tomorrow"
    assert len(record.turns) == 1


async def test_even_a_single_word_before_the_call_is(caller_asks):
    replies = [["Hm.", CALL], ["It ships tomorrow"]]
    _, record = await caller_asks(replies, OrderStatus(3.0).tool())
    assert record.agent_spans == ((2.52, 2.82), (5.6, 7.3))


async def test_two_calls_are_run_one_after_the_other(caller_asks):
    refund = ToolCall("call-2", "refund", {})
    first, second = OrderStatus(1.0), OrderStatus(0.5, "Refunded", name="refund")
    _, record = await caller_asks([[CALL, refund], ["Done"]], first.tool(), second.tool())
    assert (first.began, second.began) == ([2.4], [3.4])
    assert kinds(record.messages) == [
        "user: what are your hours",
        "call order_status",
        "tool: It ships tomorrow",
        "call refund",
        "tool: Refunded",
        "assistant: Done",
    ]


async def test_a_result_may_lead_to_the_next_call(caller_asks):
    refund = ToolCall("call-2", "refund", {})
    tools = OrderStatus(1.0).tool(), OrderStatus(0.5, "Refunded", name="refund").tool()
    agent, record = await caller_asks([[CALL], [refund], ["Done"]], *tools)
    assert [len(request.context.messages) for request in agent.llm.requests] == [1, 3, 5]
    assert kinds(record.messages)[-1] == "assistant: Done"


@pytest.mark.parametrize("result", ["", ValueError("oh")])
async def test_whatever_a_function_does_the_model_is_told(caller_asks, result):
    agent, record = await caller_asks([[CALL], ["Sorry"]], OrderStatus(result=result).tool())
    told = agent.llm.requests[1].context.messages[-1]
    assert (told.role, told.call_id) == ("tool", CALL.id)
    assert kinds(record.messages)[-1] == "assistant: Sorry"


async def test_an_unknown_function_is_told_too(caller_asks):
    agent, record = await caller_asks([[CALL], ["Sorry"]])
    assert "There is no function" in agent.llm.requests[1].context.messages[-1].text
    assert kinds(record.messages)[-1] == "assistant: Sorry"


async def test_a_slow_function_is_no_stuck_reply(caller_asks):
    turns = TurnOptions(reply_timeout=2.0)
    status = OrderStatus(10.0)
    _, record = await caller_asks([[CALL], ["It ships tomorrow"]], status.tool(), turns=turns)
    assert not record.frames_of(ServiceFailed)
    assert record.agent_spans == ((12.72, 14.42),)


async def test_but_the_reply_after_it_may_be(caller_asks):
    turns = TurnOptions(reply_timeout=2.0)
    script = [*ASK, Pause(10.0)]
    status = OrderStatus(3.0)
    _, record = await caller_asks([[CALL], [60.0]], status.tool(), turns=turns, script=script)
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert (at, failed.code) == (7.4, "no-answer")


async def test_a_model_that_calls_for_ever_is_stopped(caller_asks):
    status = OrderStatus(0.1)
    _, record = await caller_asks(lambda context: [CALL], status.tool(), script=[*ASK, Pause(10.0)])
    assert len(status.began) == 4
    ((_, failed),) = record.frames_of(ServiceFailed)
    assert failed.code == "tool-rounds"
    assert record.outcome == "ended"


# ---- and the person goes on ------------------------------------------------------------------


WORDS = ["where is my order", "never mind"]


def hears(*words):
    return ScriptedSTT(words, final_after=0.05)


async def test_an_interruption_leaves_the_function_running(caller_asks):
    # Heard from 2.52 to 3.52, interrupted at 4.2, while the function runs until 5.4.
    status = OrderStatus(3.0)
    script = [*ASK, Pause(2.0), Speak(1.0), Listen()]
    replies = [["Let me see", CALL], ["As you like"]]
    agent, record = await caller_asks(replies, status.tool(), script=script, stt=hears(*WORDS))
    assert status.ended == [5.4]
    assert len(record.frames_of(ToolCallEnded)) == 1
    # Its result is kept for the next question; the model is not asked to go on with it.
    assert len(agent.llm.requests) == 2
    assert kinds(record.messages) == [
        "user: where is my order",
        "assistant: Let me see",
        "user: never mind",
        "call order_status",
        "tool: It ships tomorrow",
        "assistant: As you like",
    ]


async def test_what_an_interrupted_reply_had_ordered_is_not_ordered_again(caller_asks):
    # The first reply orders at 2.4, is interrupted, and the next one orders the same at 5.62.
    status = OrderStatus(5.0)
    script = [*ASK, Pause(2.0), Speak(1.0), Listen(silence=3.0)]
    again = ToolCall("call-2", CALL.name, dict(CALL.arguments))
    replies = [["Let me see", CALL], [again], ["As you like"]]
    _, record = await caller_asks(replies, status.tool(), script=script, stt=hears(*WORDS))
    assert status.began == [2.4]
    assert [frame.call.id for _, frame in record.frames_of(ToolCallEnded)] == ["call-1", "call-2"]
    assert kinds(record.messages) == [
        "user: where is my order",
        "assistant: Let me see",
        "user: never mind",
        "call order_status",
        "tool: It ships tomorrow",
        "call order_status",
        "tool: It ships tomorrow",
        "assistant: As you like",
    ]


async def test_the_same_call_twice_at_once_is_run_once(caller_asks):
    status = OrderStatus(1.0)
    one = ToolCall("call-1", CALL.name, {"number": 4512, "with": [{"a": 1, "b": 2}]})
    again = ToolCall("call-2", CALL.name, {"with": [{"b": 2, "a": 1}], "number": 4512})
    other = ToolCall("call-3", CALL.name, {"number": 4513})
    _, record = await caller_asks([[one, again, other], ["Done"]], status.tool())
    assert [asked["number"] for asked in status.asked] == [4512, 4513]
    assert kinds(record.messages).count("tool: It ships tomorrow") == 3


async def test_asking_again_after_the_result_runs_it_again(caller_asks):
    status = OrderStatus(0.5)
    again = ToolCall("call-2", CALL.name, dict(CALL.arguments))
    await caller_asks([[CALL], [again], ["Done"]], status.tool())
    assert len(status.began) == 2


async def test_going_on_before_anything_is_heard_leaves_the_function_running(caller_asks):
    # Nothing is heard yet when the voice goes on at 3.0; the function runs until 5.4.
    status = OrderStatus(3.0)
    script = [*ASK, Pause(1.0), Speak(1.0), Listen()]
    replies = [[CALL], ["As you like"]]
    agent, record = await caller_asks(replies, status.tool(), script=script, stt=hears(*WORDS))
    assert status.ended == [5.4]
    assert record.times_of(TurnCommitted) == (2.2, 4.2)
    assert kinds(record.messages) == [
        "user: where is my order never mind",
        "call order_status",
        "tool: It ships tomorrow",
        "assistant: As you like",
    ]
    assert kinds(agent.llm.requests[1].context.messages) == ["user: where is my order never mind"]


async def test_going_on_after_a_function_has_run_keeps_its_result(caller_asks):
    # The function ran until 2.7; the voice goes on at 2.8, before anything is heard.
    script = [*ASK, Pause(0.8), Speak(1.0), Listen()]
    replies = [[CALL], ["It ships tomorrow"], ["As you like"]]
    _, record = await caller_asks(
        replies, OrderStatus(0.3).tool(), script=script, stt=hears(*WORDS)
    )
    assert kinds(record.messages) == [
        "call order_status",
        "tool: It ships tomorrow",
        "user: where is my order never mind",
        "assistant: As you like",
    ]


async def test_the_end_waits_for_the_function_and_its_reply(caller_asks):
    status = OrderStatus(3.0)
    _, record = await caller_asks(
        [[CALL], ["It ships tomorrow"]], status.tool(), script=[*ASK, Pause(1.0)]
    )
    assert record.outcome == "ended"
    assert record.agent_spans == ((5.72, 7.42),)
    assert kinds(record.messages).count("tool: It ships tomorrow") == 1


async def test_hanging_up_while_a_function_runs(caller_asks):
    status = OrderStatus(3.0)
    _, record = await caller_asks([[CALL]], status.tool(), script=[*ASK, Pause(1.0), HangUp()])
    assert (record.outcome, record.seconds) == ("cancelled", 3.0)
    assert status.began == [2.4]
    assert not status.ended
    assert kinds(record.messages) == ["user: what are your hours"]


async def test_hanging_up_after_a_function_has_run_keeps_its_result(caller_asks):
    status = OrderStatus(0.5)
    replies = [[CALL], ["It ships tomorrow"]]
    _, record = await caller_asks(replies, status.tool(), script=[*ASK, Pause(1.0), HangUp()])
    assert record.outcome == "cancelled"
    assert kinds(record.messages) == [
        "user: what are your hours",
        "call order_status",
        "tool: It ships tomorrow",
    ]


async def test_an_agent_that_may_not_be_interrupted_answers_after_the_function(caller_asks):
    status = OrderStatus(2.0)
    params = PipelineParams(allow_interruptions=False)
    script = [*ASK, Pause(1.0), Speak(0.5), Listen(silence=3.0)]
    replies = [["Let me see", CALL], ["It ships tomorrow"], ["As you like"]]
    _, record = await caller_asks(
        replies, status.tool(), script=script, stt=hears(*WORDS), params=params
    )
    assert kinds(record.messages) == [
        "user: where is my order",
        "call order_status",
        "tool: It ships tomorrow",
        "assistant: Let me see It ships tomorrow",
        "user: never mind",
        "assistant: As you like",
    ]
