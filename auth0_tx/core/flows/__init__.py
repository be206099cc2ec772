"""Conversations, one module for each: they compose pure functions and compute nothing.

``yield from`` marks every place where the outside world is touched.
"""
