"""antiphon: real-time voice agents, tested to the millisecond."""
