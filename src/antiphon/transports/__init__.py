"""One module for each wire to a person, over the two stages in `antiphon.transports.base`.

A transport turns its wire into frames and frames into its wire. Must not know the agent.
"""
