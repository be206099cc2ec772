"""Whether a store or a cache is for threads or for tasks, seen before it is called."""

from __future__ import annotations

import inspect

from ..errors import ConfigurationError


def check_blocking_store(store: object, parameter: str) -> None:
    """Refuse a store whose methods are awaited, for the blocking client.

    Raises:
        ConfigurationError: it is one.
    """
    awaited = inspect.iscoroutinefunction(getattr(store, "get", None))
    if getattr(store, "_is_async", awaited):
        raise ConfigurationError(
            f"{parameter} is async, and this client is not: use AsyncServerClient, or "
            "give it a redis.Redis",
            parameter=parameter,
        )


def check_async_store(store: object, parameter: str) -> None:
    """Refuse a store that waits for a server and is not awaited, for the asyncio client.

    A store of the application's own may answer at once, as one in memory does.

    Raises:
        ConfigurationError: it is one that is known to wait.
    """
    if getattr(store, "_is_async", None) is False:
        raise ConfigurationError(
            f"{parameter} would block the event loop: give it a redis.asyncio.Redis, "
            "or use ServerClient",
            parameter=parameter,
        )
