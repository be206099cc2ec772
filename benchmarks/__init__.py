"""Benchmarks: this library's cost beside hand-written code, in one interleaved run.

Nothing here is a test: a clock on a shared machine proves nothing by itself, so every figure
is a ratio of two things measured in turns, and the control rows show what the noise was.
"""
