"""One exchange over a connection of ``aiohttp``, without its request and response objects.

``aiohttp`` spends more on its own objects than the whole rest of an exchange costs: it builds a
request, a writer, a task for the writer, a response, timers.  A grant needs none of them.  So
this module uses what is below them: the connector, with its pool, TLS, proxies and name
lookups, and the connection's protocol, with its parser in C.

One exchange goes like this:

1. ``make_target`` prepares what requests to a URL have in common, and the transport keeps it:
   the request by which the connector finds a connection, and the bytes of the head.
2. A connection is taken.  From here on it is closed, whatever happens, unless step 5 returns it.
3. Head and body leave in one write, unless it is too late by now.  From that moment on a
   failure is ambiguous, which the ``Attempt`` notes.
4. Messages are read until one is final: interim responses may come before it (RFC 9110
   section 15.2).  The status of an error is noted before its body is read, as it says what
   became of the grant.
5. The body is read to its end, and the connection goes back to the pool.  After a body beyond
   the limit it is closed.  It is closed too if a part of the request has not left: the server
   answered without reading it, and may never read it.

Some want to see the requests of ``aiohttp``: libraries for tests answer them, tracers report
them.  They put a function in the place of one of its methods, or add a trace configuration to
each session.  ``is_observed`` looks for both before each request, and the transport then sends
it through the session, where they see it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from operator import is_
from types import FunctionType
from typing import Any

import aiohttp
import attrs
from aiohttp import ClientRequest, ClientResponse, ClientSession, client, client_reqrep
from yarl import URL

from ..clocks import read_monotonic
from ..core.effects import Request, Response
from ..secret import SecretBytes, SecretStr
from .failures import TooLateError

MOST_HEADERS = 99
"""Header fields of a response, as many as ``http.client`` reads."""

_MOST_AT_ONCE = 16_384
"""Bytes that a system takes from a program at once, on a connection at rest."""

# Of the modules of aiohttp that define the methods of sessions, requests and responses.
_OWN_NAMES: tuple[Mapping[str, Any], ...] = (vars(client), vars(client_reqrep))
# The methods that were found to be aiohttp's own.
_own_methods: tuple[Any, ...] = (None, None, None, None)


def is_observed(session: Any) -> bool:
    """Return whether somebody wants to see the requests that go through *session*."""
    if (
        type(session) is not ClientSession
        or session.trace_configs
        or session._middlewares
    ):
        return True
    # Those that a request of a session passes through.
    methods = (
        ClientSession.request,
        ClientSession._request,
        ClientRequest.send,
        ClientResponse.start,
    )
    # Nearly always they are the same as before; by identity, as a wrapper may say that it
    # equals what it wraps.
    return not all(map(is_, methods, _own_methods)) and not _note_own(methods)


def _note_own(methods: tuple[Any, ...]) -> bool:
    """Return whether *methods* are aiohttp's own, and if so, note them."""
    global _own_methods
    for method in methods:
        # By the module that defines it: the method that was there when this module was
        # imported may have been a mock's.
        if type(method) is not FunctionType or all(
            method.__globals__ is not names for names in _OWN_NAMES
        ):
            return False
    _own_methods = methods
    return True


class Attempt:
    """How far a request came, which says what its failure means.

    Attributes:
        left_at: the moment when it started to leave, on the monotonic clock; 0 before it.
        refusal: the response so far, if it is an error: its status counts although its body
            may not arrive.
    """

    __slots__ = ("left_at", "refusal")

    def __init__(self) -> None:
        self.left_at: float = 0.0
        self.refusal: Response | None = None

    def leave(self, latest: float) -> None:
        """Note that the request starts to leave now.

        Raises:
            TooLateError: it is later than *latest*.
        """
        now = read_monotonic()
        if now > latest:
            raise TooLateError
        self.left_at = now

    def note_status(self, status: int, headers: Any) -> None:
        """Note the head of the response.

        Raises:
            ConnectionError: it is not a final one (RFC 9110 section 15.2).
        """
        if status < 200:
            raise ConnectionError("the server sent only an interim response")
        if status >= 400:
            self.refusal = Response(status, headers, SecretBytes(b""))

    def count_seconds(self) -> float:
        """Return how long ago the request started to leave; 0 if that was not noted."""
        return read_monotonic() - self.left_at if self.left_at else 0.0


class _Lookup(ClientRequest):
    """A request by which a connector finds connections, and which is never sent itself.

    Its key, which tells connections apart, is made once: nothing changes what it is made of.
    """

    @cached_property
    def connection_key(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().connection_key


@attrs.frozen(eq=False, repr=False)
class Target:
    """A URL that requests go to, with all that they have in common.

    Attributes:
        headers: the header fields that the head was made of.
        ssl: whom to trust, as ``aiohttp`` takes it.
        lookup: tells the connector where to connect to.
        head: the request line and the header fields, without those of the body.
    """

    headers: dict[str, str]
    ssl: Any
    lookup: ClientRequest
    head: bytes

    def serves(self, request: Request, ssl: Any) -> bool:
        """Return whether this is the target of *request*, whose URL is the same."""
        # By identity: a client has the same headers for all its requests to a URL, and
        # nobody changes them.
        return self.headers is request.headers and self.ssl is ssl


def make_target(
    session: aiohttp.ClientSession,
    request: Request,
    ssl: Any = True,
    proxy: str | None = None,
    proxy_headers: dict[str, SecretStr] | None = None,
) -> Target:
    """Prepare what *request* has in common with others to its URL.

    Args:
        session: whose connections it goes through.
        request: the request.
        ssl: whom to trust, as ``aiohttp`` takes it.
        proxy: the URL of the proxy, if there is one, without credentials.
        proxy_headers: the proxy's header fields; sent to the proxy alone.

    Raises:
        ValueError: the URL has no host, or a header field contains a line break.
    """
    url = URL(request.url)
    lookup = _Lookup(
        request.method,
        url,
        loop=session._loop,
        ssl=ssl,
        proxy=None if proxy is None else URL(proxy),
        proxy_headers=proxy_headers or None,
    )
    path, fields = url.raw_path_qs, request.headers
    if proxy is not None and not lookup.is_ssl():
        # There is no tunnel: the request itself goes to the proxy (RFC 9112 section 3.2.2).
        path, fields = str(url), {**fields, **(proxy_headers or {})}
    lines = [SecretStr(f"{request.method} {path} HTTP/1.1")]
    lines.append(SecretStr(f"Host: {url.host_port_subcomponent}"))
    lines += [SecretStr(f"{name}: {value}") for name, value in fields.items()]
    connector: Any = session.connector
    if connector.force_close:
        lines.append(SecretStr("Connection: close"))
    if any(not line.isprintable() for line in lines):
        raise ValueError("a header field must not contain a line break")
    head = SecretStr("\r\n".join(lines) + "\r\n").encode()
    return Target(request.headers, ssl, lookup, head)


async def send_directly(
    session: aiohttp.ClientSession,
    target: Target,
    request: Request,
    limit: int,
    timeout: aiohttp.ClientTimeout,
    attempt: Attempt,
) -> Response:
    """Send *request* on a connection of *session*, and read the response.

    Args:
        session: whose connections it goes through.
        target: of the request.
        request: the request.
        limit: the most bytes of body to read.
        timeout: of connecting.
        attempt: notes how far the request came.

    Raises:
        TooLateError: nothing left, because it was too late.
        aiohttp.ClientError: it failed.
        aiohttp.http.HttpProcessingError: the response is not HTTP.
        OSError: it failed.
    """
    connector: Any = session.connector
    connection = await connector.connect(target.lookup, traces=[], timeout=timeout)
    try:
        protocol = connection.protocol
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the connection closed before the request left")
        attempt.leave(request.latest)
        protocol.set_response_params(
            # Without a length, the body ends with the connection (RFC 9112 section 6.3).
            read_until_eof=True,
            # Compression was not asked for, and could inflate without bound.
            auto_decompress=False,
            max_headers=MOST_HEADERS,
        )
        # One write, which is one packet and one TLS record for most grants.
        data = _join(target.head, request.body)
        size = len(data)
        transport.write(data)
        # Of ten thousand that wait for an answer, none holds a second copy of its request.
        del data
        message, content = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:
            message, content = await protocol.read()
        headers = message.headers.items()
        attempt.note_status(message.code, headers)
        body, is_oversized = await read_body(content, limit)
        if not is_oversized and _has_left(transport, size):
            connection.release()
            connection = None
        return Response(
            message.code, headers, body, is_oversized, attempt.count_seconds()
        )
    finally:
        if connection is not None:
            connection.close()


def _join(head: bytes, body: bytes | None) -> SecretBytes:
    """Return the bytes of a request: they do not print, whichever frame holds them."""
    if body is None:
        return SecretBytes(head + b"\r\n")
    return SecretBytes(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))


def _has_left(transport: Any, size: int) -> bool:
    """Return whether a request of *size* bytes has left, and nothing of it waits to."""
    if transport.get_write_buffer_size():
        return False
    # TLS counts its own bytes alone.  It hides the transport below, which has the others.
    return size <= _MOST_AT_ONCE or transport.get_extra_info("ssl_object") is None


async def read_body(
    content: aiohttp.StreamReader, limit: int
) -> tuple[SecretBytes, bool]:
    """Return the body, cut at *limit* bytes, and whether it was longer."""
    # Nearly always all of it has arrived together with the head.
    if content.is_eof():
        body = SecretBytes(content.read_nowait())
    else:
        # A buffer, as it does not print while the next piece is awaited.
        buffer = io.BytesIO()
        while buffer.tell() <= limit and buffer.write(await content.readany()):
            pass
        body = SecretBytes(buffer.getvalue())
    if len(body) <= limit:
        return body, False
    return SecretBytes(body[:limit]), True
