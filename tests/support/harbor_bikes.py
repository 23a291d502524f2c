"""The receptionist of Harbor Bikes: what it knows, and what people ask it, as it is heard."""

from __future__ import annotations

from antiphon.context import ToolDescription
from antiphon.models.facts import Fact

HOURS = Fact(
    "We are open Monday to Friday from 9 to 6, and Saturday from 10 to 4. We are closed on Sunday.",
    ("When are you open?", "What time do you close?", "Are you open on Sunday?"),
    topic="opening hours",
)
ADDRESS = Fact(
    "We are at 12 Dock Street.",
    ("Where are you?", "What is your address?", "How do I get to the shop?"),
    topic="",
)
TYRE = Fact(
    "A flat tyre repair costs 15 dollars and takes twenty minutes.",
    ("How much is it to fix a flat tire?", "I have a puncture."),
    topic="repairs",
)
TUNE_UP = Fact(
    "A tune-up costs 60 dollars and takes two days.",
    ("How much is a service?", "My bike needs a service.", "Can you check my brakes and gears?"),
    topic="",
)
RENTAL = Fact(
    "Electric bikes rent at 45 dollars a day. City bikes rent at 20 dollars a day.",
    ("How much does it cost to rent a bike?", "Can I hire an e-bike?"),
    topic="rentals",
)
HELMET = Fact("Helmets are free with every rental.", ("Do I get a helmet?",), topic="")
REFUND = Fact(
    "You can return anything within thirty days, with the receipt, for a full refund.",
    ("Can I get my money back?",),
    topic="refunds",
)
FACTS = (HOURS, ADDRESS, TYRE, TUNE_UP, RENTAL, HELMET, REFUND)
ORDER = ToolDescription(
    "order_status",
    "Tells when an order ships. Where is my order? When does my order arrive?",
    {
        "type": "object",
        "properties": {"number": {"type": "string", "description": "The order number"}},
        "required": ["number"],
    },
)

# The numbers of `antiphon.models.retrieval` were chosen on these.
TUNED = [
    (
        HOURS,
        [
            "When are you open?",
            "What are your opening hours?",
            "Are you open on Sunday?",
            "What time do you close today?",
            "Hello, are you open on Sunday?",
            "Can I come by on Saturday afternoon?",
            "What time do you open in the morning?",
            "Are you guys open on weekends?",
            "Do you close for lunch?",
            "Hi there. What hours do you keep on Fridays?",
            "Is the shop open right now?",
            "How late are you open on Saturday?",
            "Do you work Sundays?",
            "Until when can I pick up my bike today?",
            "What days are you closed?",
            "Hey, when can I drop by?",
        ],
    ),
    (
        ADDRESS,
        [
            "Where are you located?",
            "What's your address?",
            "How do I get to the shop?",
            "Where is the store?",
            "Which street are you on?",
            "Could you tell me where to find you?",
            "Whereabouts are you?",
            "Are you near the docks?",
            "What is the street address, please?",
            "I can't find your shop.",
        ],
    ),
    (
        TYRE,
        [
            "How much does it cost to fix a flat tire?",
            "I have a flat tire, how long does it take?",
            "My tire is flat.",
            "I've got a puncture. Can you fix it?",
            "How much for a tire repair?",
            "My wheel has no air in it.",
            "What do you charge for a flat?",
            "How long to repair a flat tire?",
            "My back tire is punctured.",
            "Can I wait while you fix my tire?",
            "I ran over a nail.",
            "What's the price for fixing a tyre?",
        ],
    ),
    (
        TUNE_UP,
        [
            "How much is a tune up?",
            "What does a tune-up cost?",
            "How long does a tune-up take?",
            "My bike needs a service.",
            "Can you check my brakes?",
            "How many days is a tuneup?",
            "I'd like to get my bike tuned up.",
            "What does it cost to have my bike serviced?",
            "My gears are slipping.",
            "Could I book a tune up for my bicycle?",
        ],
    ),
    (
        RENTAL,
        [
            "How much is it to rent a bike?",
            "What does an electric bike cost per day?",
            "I'd like to rent an e-bike for a day.",
            "How much are the city bikes?",
            "Can I hire a bicycle tomorrow?",
            "What are your rental prices?",
            "How much is an electric bike?",
            "What's the daily rate for a city bike?",
            "Do you rent out bikes?",
            "How much would two bikes cost for one day?",
            "We want to borrow bikes for the afternoon.",
            "Price for an e bike rental?",
        ],
    ),
    (
        HELMET,
        [
            "Do I get a helmet with that?",
            "Are helmets included?",
            "How much is a helmet?",
            "Do I need to bring my own helmet?",
            "Is a helmet free?",
            "Do you lend helmets?",
            "Do the bikes come with helmets?",
            "What about helmets?",
        ],
    ),
    (
        REFUND,
        [
            "Can I get my money back?",
            "What's your refund policy?",
            "I want to return something I bought.",
            "How long do I have to return it?",
            "I lost my receipt, can I still get a refund?",
            "I'd like to return a lock I bought last week.",
            "How do refunds work?",
            "I'm not happy with it, I want my money back.",
            "Can I bring back a jacket?",
            "Do I need the receipt for a return?",
        ],
    ),
    (
        ORDER,
        [
            "Where is my order?",
            "Has my order shipped yet?",
            "What's the status of order 4512?",
            "When does my order arrive?",
            "I'm calling about an order I placed.",
            "My order number is 4512.",
            "Can you check on my order?",
            "When will order four five one two ship?",
            "Where's my package?",
            "I'm waiting for a delivery, order number 45 12.",
            "Did my order go out?",
            "I ordered a bike last week and want to know where it is.",
        ],
    ),
]
TUNED_OFF_TOPIC = [
    "What's the weather like tomorrow?",
    "Can you book me a flight to Paris?",
    "Who won the football game last night?",
    "What is the capital of France?",
    "Tell me a joke.",
    "I want to order a pizza.",
    "What's two plus two?",
    "Can you play some music?",
    "How do I bake bread?",
    "Who is the president?",
    "My computer does not start.",
    "Can you translate this into Spanish?",
    "What is the meaning of life?",
    "I need a doctor.",
    "Sing me a song.",
    "How tall is Mount Everest?",
    "What stocks should I buy?",
    "Turn off the lights in the kitchen.",
    "My dog is sick.",
    "Do you like movies?",
    "Is it going to rain today?",
    "What time is it in Tokyo?",
    "Can you recommend a good restaurant?",
    "I need a hotel room for two nights.",
    "How do I reset my password?",
    "What's the best phone to buy?",
    "Write me a poem about the sea.",
    "Do you know any good books?",
    "How do I get to the airport?",
    "Set an alarm for seven.",
    "What's the score?",
    "Call my mother.",
    "Why is the sky blue?",
    "I'd like to open a bank account.",
    "How much is a haircut?",
    "What is quantum physics?",
    "Can you fix my washing machine?",
    "Who wrote Hamlet?",
    "How many calories are in an apple?",
]
# These were written when the numbers stood.
FRESH = [
    (
        HOURS,
        [
            "What's your schedule?",
            "Can I come in on Sunday afternoon?",
            "When do you open tomorrow?",
            "Do you have weekend hours?",
            "How early can I drop off my bike?",
            "What time do you shut on Fridays?",
        ],
    ),
    (
        ADDRESS,
        [
            "Where can I find you?",
            "Give me your address please.",
            "Is this the shop on Dock Street?",
            "Which part of town are you in?",
        ],
    ),
    (
        TYRE,
        [
            "I got a flat on my way to work.",
            "How much would you charge me to patch a tube?",
            "Do you repair punctures?",
            "How quickly can you fix a flat tyre?",
        ],
    ),
    (
        TUNE_UP,
        [
            "How much do you charge for a tune up?",
            "When would my bike be ready if I bring it for a tune-up?",
            "I need a maintenance check for my bike.",
            "Do you do tune ups?",
        ],
    ),
    (
        RENTAL,
        [
            "What's the price of renting an e-bike?",
            "Can I rent a city bike for the day?",
            "How much do rentals cost?",
            "I need a bike for a day.",
            "What bikes can I rent?",
        ],
    ),
    (
        HELMET,
        [
            "Do I have to pay for a helmet?",
            "Can I borrow a helmet?",
            "Is a helmet part of the rental?",
        ],
    ),
    (
        REFUND,
        [
            "Can I return these shoes?",
            "How many days do I have to bring something back?",
            "What's your return policy?",
            "Would you refund me?",
        ],
    ),
    (
        ORDER,
        [
            "Could you look up my order?",
            "I want to know when my order ships.",
            "Is order 4512 on its way?",
            "My order hasn't come yet.",
            "Track order 45 12 please.",
        ],
    ),
]
FRESH_OFF_TOPIC = [
    "Can you recommend a dentist?",
    "What's the capital of Australia?",
    "How do I cook rice?",
    "Where is the nearest cinema?",
    "Tell me something funny.",
    "I want to buy a house.",
    "What day is it today?",
    "Could you order me some flowers?",
    "Is it cold outside?",
    "How many people live in China?",
    "Turn the volume down.",
    "I forgot my email password.",
    "When was the last election?",
    "Can I book a flight with you?",
    "What should I wear tonight?",
    "Do you sell coffee?",
    "My car has broken down.",
    "Read me the news.",
    "How do I learn French?",
    "What's the meaning of that word?",
]
