"""A proxy that makes a server on this machine as far away as a round trip says.

Each piece of data arrives half a round trip after it was sent.  A connection to this machine
is there at once, and one over a distance after a round trip: so the first pieces of a connection
wait for that, too.
"""

from __future__ import annotations

import asyncio
from typing import cast


class _End(asyncio.Protocol):
    """One end of a connection through the proxy: hands on what arrives, later."""

    def __init__(self, delay: float, not_before: float = 0.0) -> None:
        self._delay = delay
        self._not_before = not_before
        self.other: asyncio.Future[asyncio.Transport] = (
            asyncio.get_running_loop().create_future()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._do_later(lambda other: other.write(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._do_later(lambda other: other.close())

    def _do_later(self, act: object) -> None:
        loop = asyncio.get_running_loop()
        when = max(loop.time(), self._not_before) + self._delay
        loop.call_at(when, self._do, act)

    def _do(self, act: object) -> None:
        assert callable(act)
        if self.other.done():
            act(self.other.result())
        else:
            self.other.add_done_callback(lambda other: act(other.result()))


async def delay(port: int, round_trip: float) -> int:
    """Return a port at which the server at *port* is *round_trip* seconds away."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    class Near(_End):
        def __init__(self) -> None:
            super().__init__(round_trip / 2, loop.time() + round_trip)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            task = loop.create_task(self._connect())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async def _connect(self) -> None:
            _, far = await loop.create_connection(
                lambda: _End(round_trip / 2), "127.0.0.1", port
            )
            far.other.set_result(self.transport)
            self.other.set_result(far.transport)

    server = await loop.create_server(Near, "127.0.0.1", backlog=1024)
    near: int = server.sockets[0].getsockname()[1]
    return near
