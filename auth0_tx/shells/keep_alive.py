"""How long a connection may rest between two calls, and what keeps it alive meanwhile.

A service that calls once a minute should not connect anew for each call: that takes three round
trips instead of one.  So a connection rests for up to two minutes.

A longer rest has two dangers for a token that may be used once only:

1. The server closes the connection.  Its end is there to be seen before the next request, so
   both transports look: a connection is used only while nothing has arrived on it.
2. A firewall or a NAT gateway forgets the connection without a word, and the request would go
   nowhere.  Most forget after four minutes or more, some after one.  The system's own probes,
   every half minute, keep it in their memory; if they are not answered, the connection ends,
   and that is there to be seen, too.
"""

from __future__ import annotations

import socket

LONGEST_IDLE = 120.0
"""Seconds that a connection may rest and still be used: less than Auth0's servers wait.

If the server closes it while a request is on its way, nobody knows whether the grant was
used."""

# The option's name on the system, and its value: seconds of rest before the first probe,
# seconds between two, and how many may be lost.
_PROBES = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPALIVE": 30,  # of macOS, for the same
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
}

SOCKET_OPTIONS: tuple[tuple[int, int, int], ...] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _PROBES.items()
        if hasattr(socket, name)
    ),
)
"""The options that have the system probe a connection at rest."""
