"""Ports on loopback, at both of its addresses: clients disagree on what localhost is."""

from __future__ import annotations

import errno
import socket


def listen(port: int, backlog: int) -> tuple[int, list[socket.socket]]:
    """Listen on both loopback addresses at one port; 0 takes a free one."""
    while True:
        first = _bind(socket.AF_INET, "127.0.0.1", port)
        taken: int = first.getsockname()[1]
        try:
            second = _bind(socket.AF_INET6, "::1", taken)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port == 0:
                first.close()
                continue
            listeners = [first]  # no IPv6 here
        else:
            listeners = [first, second]
        for one in listeners:
            one.listen(backlog)
            one.setblocking(False)
        return taken, listeners


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
