"""A proxy in front of a Redis that can be slow, drip, hold everything back, and break."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Any

from redis.connection import parse_url


class DelayingProxy:
    """Passes on a client's commands, and delays the replies.

    Attributes:
        delay: seconds before each answer is passed on.
        drip: seconds before each byte of an answer.
        connections: how many have been made.
    """

    def __init__(self, url: str) -> None:
        where: Any = parse_url(url)
        self._server = where.get("host", "127.0.0.1"), where.get("port", 6379)
        self.delay = 0.0
        self.drip = 0.0
        self.connections = 0
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/{where.get('db', 0)}"
        self._start(self._accept)

    def break_off(self) -> None:
        """Break all connections."""
        for connected in self._sockets:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End everything, and wait until it has ended."""
        self._ended.set()
        self.break_off()
        for thread in self._threads:
            thread.join()
        for opened in (*self._sockets, self._listener):
            opened.close()

    def _start(self, act: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=act, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._listener], [], [], 0.05)[0]:
                continue
            client, _ = self._listener.accept()
            self.connections += 1
            self._sockets.append(client)
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.shutdown(socket.SHUT_RDWR)
                continue
            self._sockets.append(server)
            self._start(self._pass_on, client, server)
            self._start(self._answer, server, client)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if self.delay and self._ended.wait(self.delay):
                    return
                if not self.drip:
                    client.sendall(data)
                    continue
                for position in range(len(data)):
                    if self._ended.wait(self.drip):
                        return
                    client.sendall(data[position : position + 1])
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
