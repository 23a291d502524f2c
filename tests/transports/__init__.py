"""Tests of the transports, and the parrot and memory socket that they share."""
