"""Exchanges of many tokens: what is sent next, how fast, and what an outcome means."""
