"""PURE: who has the floor. Events in, orders out; no waiting, no clock, no I/O, no logging."""
