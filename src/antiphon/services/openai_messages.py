"""A conversation in the form of OpenAI's Chat Completions.

Pure. Strict, since servers and the templates of models are: a result stands right behind its call,
calls that have none are left out, and nobody speaks twice in a row.
"""

from __future__ import annotations

import json
from typing import Any

from antiphon.context import LLMContext, Message

__all__ = ["messages_of", "tools_of"]


def messages_of(context: LLMContext) -> list[dict[str, Any]]:
    """Convert the instructions and all messages.

    Two turns of the person in a row, or two texts of the agent, become one. A call without a result
    and a result without a call are left out.
    """
    results = {m.call_id: m.text for m in context.messages if m.role == "tool" and m.call_id}
    written: list[dict[str, Any]] = []
    if context.instructions:
        written.append({"role": "system", "content": context.instructions})
    for message in context.messages:
        match message.role:
            case "user" | "system":
                _add_text(written, message.role, message.text)
            case "assistant":
                _add_text(written, "assistant", message.text)
                _add_calls(written, message, results)
    return written


def _add_text(written: list[dict[str, Any]], role: str, text: str) -> None:
    if not text:
        return
    last = written[-1] if written else {"role": ""}
    if last["role"] == role and role != "system" and "tool_calls" not in last:
        last["content"] += f" {text}"
    else:
        written.append({"role": role, "content": text})


def _add_calls(written: list[dict[str, Any]], message: Message, results: dict[str, str]) -> None:
    calls = [call for call in message.calls if call.id in results]
    if not calls:
        return
    if not written or written[-1]["role"] != "assistant":
        written.append({"role": "assistant", "content": None})
    written[-1]["tool_calls"] = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
        }
        for call in calls
    ]
    written.extend(
        {"role": "tool", "tool_call_id": call.id, "content": results[call.id]} for call in calls
    )


def tools_of(context: LLMContext) -> list[dict[str, Any]]:
    """Convert the descriptions of the tools."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
            },
        }
        for tool in context.tools
    ]
