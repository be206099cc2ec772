"""What the releases of redis-py have different ways of, from 5.0 on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

# What ties a connection to its pool, or has its answers come in another form, or sends a
# command again, or one of its own.
_LEFT_OUT = (
    "cache",
    "decode_responses",
    "event_dispatcher",
    "health_check_interval",
    "maint",
    "oss_cluster_maint",
    "orig_",
    "parser_class",
    "protocol",
    "retry",
    "socket_timeout",
    "socket_connect_timeout",
)


def settings_of(pool: Any) -> dict[str, Any]:
    """Give how *pool* makes connections, for a pool of ours to make more of the kind."""
    return {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(_LEFT_OUT)
    } | {"protocol": 2}


def taking(pool: Any) -> Callable[[], Any]:
    """Give what takes a connection out of *pool*.

    The command must be told before redis-py 5.3, and must not be from then on.
    """
    command = inspect.signature(pool.get_connection).parameters["command_name"]
    if command.default is inspect.Parameter.empty:
        return partial(pool.get_connection, "GET")
    take: Callable[[], Any] = pool.get_connection
    return take
