"""Tenants under names of the public DNS: a proxy on loopback leads there.

A resolver may not give a loopback, so its tenants need names; the client asks the proxy
for a tunnel to the name, and the proxy knows which port that is.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from auth0_tx.tenant import Tenant


class NamingProxy:
    """A proxy that tunnels to tenants by name.

    Attributes:
        asked: The names it was asked for, in order.
    """

    def __init__(self, tenants: dict[str, Tenant]) -> None:
        self.asked: list[str] = []
        self._ports = {
            name: int(tenant.domain.rpartition(":")[2])
            for name, tenant in tenants.items()
        }
        for name, tenant in tenants.items():
            # A tenant calls itself by its port; this one is known by a name.
            tenant._state.issuer = f"https://{name}/"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Return the URL for a client's `proxy=`."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Close every connection, and wait for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5.0)
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._tunnel, near)

    def _start(self, target: object, *arguments: socket.socket) -> None:
        self._sockets.extend(arguments)
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _tunnel(self, near: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += near.recv(65_536)
        # RFC 9110 section 9.3.6: CONNECT host:port HTTP/1.1
        name = request.split(b" ")[1].decode("ascii").partition(":")[0]
        self.asked.append(name)
        far = socket.create_connection(("127.0.0.1", self._ports[name]))
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._start(self._carry, near, far)
        self._carry(far, near)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
