"""The asyncio shell around the decisions: the floor stage, the agent, the running of its tools.

Stands on the contracts of services, never on a vendor, and knows no wire.
"""

from antiphon.agent.agent import Agent
from antiphon.agent.floor import Floor
from antiphon.agent.tools import Tool

__all__ = ["Agent", "Floor", "Tool"]
