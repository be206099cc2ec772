"""gevent's timeouts at each wait of the blocking client; run by ``python -m gevent.monkey``.

Something is slow or silent, so that a call waits for it, and the timeout ends the wait.  Searched
are the frames that it passed, those of the libraries and of gevent too.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import gevent
import redis

from auth0_tx import CustomTokenExchangeOptions, RetryPolicy, ServerClient
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache
from tests.e2e.concurrency.volume import options
from tests.secret_needles import Needles
from tests.secret_places import iterate_interruption

SUBJECT = "struck-subject-0123456789"
_PATIENCE = 0.1
"""Seconds until a timeout strikes: longer than all that comes before the wait."""

Case = Callable[[ExitStack, dict[str, Any]], ServerClient]
"""Makes a client whose next exchange waits, until the stack is left."""


@contextmanager
def stay_silent(backlog: int) -> Iterator[int]:
    """Listen at a port without accepting, and yield it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        yield listener.getsockname()[1]


def make_client(settings: dict[str, Any], **changes: Any) -> ServerClient:
    """Return a client that knows the tenant, and has no connection."""
    client = ServerClient(**settings, **changes)
    client.prepare()
    client._transport.close_idle()
    return client


def redirect(stack: ExitStack, port: int) -> None:
    """Let new connections lead to another port of this machine."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    stack.enter_context(patch("socket.getaddrinfo", lambda *_, **__: [address]))


def wait_to_connect(stack: ExitStack, settings: dict[str, Any]) -> ServerClient:
    """The queue of the server is full."""
    port = stack.enter_context(stay_silent(0))
    for _ in range(3):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(("127.0.0.1", port))
    client = make_client(settings)
    redirect(stack, port)
    return client


def wait_for_the_handshake(stack: ExitStack, settings: dict[str, Any]) -> ServerClient:
    """The server connects, and says nothing."""
    port = stack.enter_context(stay_silent(5))
    client = make_client(settings)
    redirect(stack, port)
    return client


def wait_for_the_head(stack: ExitStack, settings: dict[str, Any]) -> ServerClient:
    """The response takes its time."""
    return make_client(settings)


def wait_for_a_place(stack: ExitStack, settings: dict[str, Any]) -> ServerClient:
    """Another greenlet has the only connection."""
    client = make_client(settings, max_connections=1)
    start_another(stack, client, "another")
    return client


def wait_to_send_again(stack: ExitStack, settings: dict[str, Any]) -> ServerClient:
    """The server answered 503."""
    return make_client(settings, retry=RetryPolicy(transient_delay=2.0))


def wait_for_another_exchange(
    stack: ExitStack, settings: dict[str, Any]
) -> ServerClient:
    """Another greenlet exchanges the same token."""
    client = make_client(settings, token_cache=MemoryTokenCache(10))
    start_another(stack, client, SUBJECT)
    return client


def wait_for_redis(stack: ExitStack, settings: dict[str, Any]) -> ServerClient:
    """The Redis of the cache connects, and says nothing."""
    port = stack.enter_context(stay_silent(5))
    connection = stack.enter_context(redis.Redis(port=port))
    return make_client(settings, token_cache=RedisTokenCache(connection, timeout=1.0))


def start_another(stack: ExitStack, client: ServerClient, subject: str) -> None:
    """Begin an exchange in another greenlet, which must have its token in the end."""

    def check_token() -> None:
        assert f"for.{subject}" == another.get().access_token

    another = gevent.spawn(client.custom_token_exchange, options(subject))
    stack.callback(check_token)
    gevent.sleep(_PATIENCE / 2)


CASES: tuple[Case, ...] = (
    *(wait_to_connect, wait_for_the_handshake, wait_for_the_head),
    *(wait_for_a_place, wait_to_send_again),
    *(wait_for_another_exchange, wait_for_redis),
)


def strike(case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    """Strike the call of a case, and return what came of it and of the next one."""
    needles = Needles()
    needles.add(SUBJECT, settings["client_secret"])
    fault = "fault-unavailable." if case is wait_to_send_again else ""
    struck = CustomTokenExchangeOptions(
        subject_token=fault + SUBJECT,
        subject_token_type="urn:acme:legacy-token",
        subject_token_reusable=bool(fault),
    )
    with ExitStack() as stack:
        client = case(stack, settings)
        timeout, raised = gevent.Timeout(_PATIENCE), None
        timeout.start()
        try:
            client.custom_token_exchange(struck)
        except BaseException as error:
            raised = error
        finally:
            timeout.close()
    assert raised is not None
    texts = dict(iterate_interruption(raised))
    answer = client.custom_token_exchange(options("next"))
    gate = client._transport._gate
    client.close()
    return {
        "raised": "the timeout" if raised is timeout else repr(raised),
        "secrets": [place for place, text in texts.items() if needles.find(text)],
        "lost places": client._transport._max_connections - gate._free,
        "flights": len(client._flights._flights),
        "next": answer.access_token,
    }


def main(settings: dict[str, Any]) -> None:
    """Print what came of each case."""
    # What is imported late is there before a timeout could strike an import.
    with ServerClient(**settings) as client:
        client.custom_token_exchange(options("import"))
    with gevent.Timeout(30):
        print(json.dumps({case.__name__: strike(case, settings) for case in CASES}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
