"""Commands through clients that are used as they are: those of a cluster, and of valkey-py.

A cluster's client knows how to find the node of a key, and follows a key that has moved.  All
commands of ours touch one key, so each goes to one node.  The client is told which, because it
sends a command again, after the connection broke, only if it has to find the node itself; and
a command whose reply was lost may have been executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class GivenCommands:
    """Sends commands through a client that is used as it is, of a cluster or of valkey-py.

    Args:
        redis: the client that was given, whose own timeouts bound a command.
        is_cluster: whether it knows several servers.
    """

    def __init__(self, redis: Any, is_cluster: bool) -> None:
        self._client = redis
        self._is_cluster = is_cluster

    def send(self, read: Callable[[Any], Any], *command: str | bytes | int) -> Any:
        """Send a command, and return what *read* makes of the reply.

        Raises:
            Exception: the client's own, if there was no reply, or the server refused.
        """
        node = None
        if self._is_cluster:
            node = self._client.get_node_from_key(_find_key(command))
        return read(self._client.execute_command(*command, **_build_options(node)))


class AsyncGivenCommands:
    """Sends commands through an asyncio client that is used as it is.

    Args:
        redis: the client that was given.
        timeout: seconds for a command, with all that it takes.
        is_cluster: whether it knows several servers.
    """

    def __init__(self, redis: Any, timeout: float, is_cluster: bool) -> None:
        self._client = redis
        self._timeout = timeout
        self._is_cluster = is_cluster

    async def send(
        self, read: Callable[[Any], Any], *command: str | bytes | int
    ) -> Any:
        """Send a command, and return what *read* makes of the reply.

        Raises:
            TimeoutError: there was no reply in time.
            Exception: the client's own, if the server refused, or could not be reached.
        """
        client, node = self._client, None
        async with asyncio.timeout(self._timeout):
            if self._is_cluster:
                # Finds out where the keys are, once.
                await client.initialize()
                node = client.get_node_from_key(_find_key(command))
            return read(await client.execute_command(*command, **_build_options(node)))


def _find_key(command: tuple[str | bytes | int, ...]) -> Any:
    """Return the one key of a command of ours."""
    return command[3 if command[0] == "EVAL" else 1]


def _build_options(node: Any) -> dict[str, Any]:
    """Return options of ``execute_command``, for the *node* that a cluster keeps a key on."""
    # redis.client.NEVER_DECODE, as valkey-py has it too.
    options: dict[str, Any] = {"NEVER_DECODE": True}
    return options if node is None else {**options, "target_nodes": node}
