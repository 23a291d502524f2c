"""The receptionist of Harbor Bikes: the agent of ``antiphon demo``, and a model for your own.

Runs offline and without a key: instead of a language model, a responder says the fact that fits the
question best, or calls the function. Must hold nothing but the agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon import Agent, Tool
from antiphon.models.facts import Fact
from antiphon.models.retrieval import RetrievalLLM

__all__ = ["agent"]

FACTS = [
    Fact(
        "We are open Monday to Friday from nine to six, and on Saturday from ten to four.",
        ("When are you open?", "What are your opening hours?", "When do you open tomorrow?"),
        topic="opening hours",
    ),
    Fact(
        "Monday to Friday we are open from nine to six.",
        (
            "What time do you open on Monday?",
            "Are you open on Tuesday?",
            "And on Wednesday?",
            "How late can I come on Thursday?",
            "When do you close on Friday?",
        ),
        topic="opening hours",
    ),
    Fact(
        "On Saturday we are open from ten to four.",
        ("Are you open on Saturday?", "When do you close on Saturday?", "And on the weekend?"),
        topic="opening hours",
    ),
    Fact(
        "We are closed on Sunday.",
        ("Are you open on Sunday?", "Can I come on Sunday?", "And on Sunday?"),
        topic="opening hours",
    ),
    Fact(
        "You find us at 12 Dock Street.",
        ("Where are you?", "What is your address?", "How do I get to the shop?"),
        topic="our address",
    ),
    Fact(
        "Repairing a flat tyre costs 15 dollars and takes twenty minutes.",
        ("How much is a flat tyre?", "I have a puncture.", "Can you fix my tyre now?"),
        topic="repairs",
    ),
    Fact(
        "A tune-up costs 60 dollars and takes two days.",
        ("What does a tune-up cost?", "Can you service my bike?", "How long does a service take?"),
        topic="repairs",
    ),
    Fact(
        "Electric bikes rent at 45 dollars a day. City bikes rent at 20 dollars a day.",
        ("How much is it to rent a bike?", "Do you have electric bikes?", "I need a bike today."),
        topic="bikes to rent",
    ),
    Fact(
        "Helmets are free.",
        ("Do I get a helmet?", "What does a helmet cost?", "Do I have to pay for the helmet?"),
        topic="bikes to rent",
    ),
    Fact(
        "We refund what you bought within thirty days, with the receipt.",
        ("Can I return it?", "How do I get my money back?", "What is your refund policy?"),
        topic="refunds",
    ),
]

ORDERS = {
    "4512": "ships tomorrow afternoon",
    "4513": "is ready to be picked up",
    "2087": "was delivered on Monday",
}


async def order_status(arguments: Mapping[str, Any]) -> str:
    """Look an order up. A real agent would ask a database here."""
    number = arguments["number"]
    if number not in ORDERS:
        return f"I cannot find an order {number}. Please check the number."
    return f"Your order {number} {ORDERS[number]}."


agent = Agent(
    instructions="You are the receptionist of Harbor Bikes, a bicycle shop.",
    llm=RetrievalLLM(FACTS),
    tools=[
        Tool(
            name="order_status",
            description="Where is my order? Has my order shipped? When does my order arrive?",
            parameters={
                "type": "object",
                "properties": {
                    "number": {
                        "type": "string",
                        "pattern": "^[0-9]{4}$",
                        "description": "order number",
                    }
                },
                "required": ["number"],
            },
            run=order_status,
        )
    ],
)
