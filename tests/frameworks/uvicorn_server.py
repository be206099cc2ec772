"""An ASGI application on uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def serve_uvicorn(
    app: Any, lifespan: str = "off", ws: str = "none"
) -> AsyncIterator[int]:
    """Serve an application on a free port of loopback, *ws* its WebSockets."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws=ws,
        log_config=None,
        log_level="critical",
        lifespan=lifespan,  # type: ignore[arg-type]
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            assert not task.done(), "uvicorn does not start"
            await asyncio.sleep(0.005)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task
