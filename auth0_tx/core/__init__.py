"""The protocol, without I/O.

Nothing below this room imports a clock, a socket, an event loop, a thread, a logger or an
HTTP library; ``tests/house`` proves it.
"""
