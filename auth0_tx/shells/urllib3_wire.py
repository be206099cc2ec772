"""A request and its response on a connection of urllib3, without the layers above it.

``requests`` and ``urllib3`` wrap a request in a prepared request, an adapter, a policy for
retries and a response that may decode and stream.  A grant needs none of them, and together
they take as much CPU time as the rest of an exchange.  So the client uses what is below them:
urllib3's pools and connections, which bring addresses, TLS and trust, and the parser of
``http.client``.

1. The pool lends a connection that is quiet, or a new one, which connects now.
2. Head and body leave in one write.  The connection notes that, and keeps the deadline.
3. ``http.client`` reads the head of the response, and then the body, to its end or its limit.
4. The connection goes back to the pool if it stays open and the response has ended.  Every
   other connection is closed: what else arrives must not be the next response.

An exception out of a signal handler may strike at any instruction.  Up to the end of step 3 it
closes the connection.  From then on nothing does: the connection may be in the pool, where
another thread may have taken it.  One that is in no pool is closed when it is freed.

Mocks in tests, tracers and debug output look at requests on their way through the layers.
``is_observed`` notices them, and the request then goes through the adapter.
"""

from __future__ import annotations

import errno
import http.client
import logging
import sys
from operator import is_
from types import FunctionType
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError

from ..clocks import read_monotonic
from ..core.effects import Request, Response, Send
from ..secret import SecretBytes, SecretStr
from .deadline_adapter import current_call

# RuntimeError: there is no thread to be had, or the interpreter ends.
FAILURES: tuple[type[Exception], ...] = (
    HTTPError,
    http.client.HTTPException,
    OSError,
    RuntimeError,
    ValueError,
)
"""The exceptions of the HTTP libraries."""

# EPROTOTYPE: macOS says so while the other end closes the connection.
_SERVER_LEFT = (errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE)

# What a request passes only on its way through the layers.  The class below each layer stands
# for those above it: a method that somebody replaced there is inherited.
_PASSED: tuple[tuple[type, str], ...] = (
    (Session, "send"),
    (HTTPAdapter, "send"),
    (HTTPSConnectionPool, "urlopen"),
    (HTTPSConnection, "request"),
    (HTTPSConnection, "putrequest"),
    (HTTPSConnection, "getresponse"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "putheader"),
    (http.client.HTTPConnection, "endheaders"),
    (http.client.HTTPConnection, "getresponse"),
)


def _find_original(owner: type, name: str) -> object:
    """Return a library's own method, or a value of its own if it was replaced already."""
    home = next(base for base in owner.__mro__ if name in vars(base))
    method = vars(home)[name]
    # A wrapper may pretend to be what it wraps, but it has neither its type nor its globals.
    is_original = type(method) is FunctionType and method.__globals__ is vars(
        sys.modules[home.__module__]
    )
    return method if is_original else object()


_OWNERS = tuple(owner for owner, _ in _PASSED)
_NAMES = tuple(name for _, name in _PASSED)
_ORIGINALS = tuple(_find_original(owner, name) for owner, name in _PASSED)
_log = logging.getLogger("urllib3.connectionpool")


def is_observed() -> bool:
    """Return whether somebody wants to see requests on their way through the layers."""
    # By identity, as a wrapper may say that it equals what it wraps.
    return (
        not all(map(is_, map(getattr, _OWNERS, _NAMES), _ORIGINALS))
        or http.client.HTTPConnection.debuglevel > 0
    )


def is_session_observed() -> bool:
    """Return whether somebody has replaced ``Session.send`` to see requests there."""
    return Session.send is not _ORIGINALS[0]


def send_request(
    pool: HTTPConnectionPool, request: Request, send: Send, connect_timeout: float
) -> Response:
    """Put a request on the wire, and return the whole response.

    Args:
        pool: of the host that *request* goes to, from a ``DeadlineAdapter``.
        request: what *send* prepared.
        send: says how much of the body to read.
        connect_timeout: seconds that connecting may take.

    Raises:
        Exception: one of ``FAILURES``, if no complete response came back.
    """
    connection: Any = pool._get_conn()
    try:
        if connection.is_closed:
            connection.timeout = connect_timeout
            if pool.proxy is None:
                connection.connect()
            else:
                # Asks for a tunnel, which is a part of connecting.
                pool._prepare_proxy(connection)
        _write(connection, _encode(request))
        response = _read(connection, request.method, send.limit)
    except BaseException:
        connection.close()
        raise
    if not connection.is_closed:
        pool._put_conn(connection)
    if _log.isEnabledFor(logging.DEBUG):
        _log_as_urllib3(pool, request, response)
    return response


def _log_as_urllib3(
    pool: HTTPConnectionPool, request: Request, response: Response
) -> None:
    """Write the line that urllib3 writes for each request."""
    _log.debug(
        '%s://%s:%s "%s /%s HTTP/1.1" %s %s',
        pool.scheme,
        pool.host,
        pool.port,
        request.method,
        request.url.split("/", 3)[3],
        response.status,
        len(response.body),
    )


def _encode(request: Request) -> SecretBytes:
    """Return head and body, byte for byte as ``http.client`` writes them.

    The core has checked the URL: there is nothing in it to quote.

    Raises:
        ValueError: a header cannot be sent.
    """
    _, _, authority, target = request.url.split("/", 3)
    fields = SecretStr(
        "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    )
    breaks = len(request.headers)
    if (fields.count("\r"), fields.count("\n")) != (breaks, breaks):
        raise ValueError("a header has a line break in it")
    body = request.body
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    head = SecretStr(
        f"{request.method} /{target} HTTP/1.1\r\nHost: {authority}\r\n"
        f"{fields}{length}\r\n"
    )
    return SecretBytes(b"".join((head.encode("latin-1"), body or b"")))


def _write(connection: Any, data: SecretBytes) -> None:
    try:
        connection.send(data)
    except OSError as error:
        # The server may have left after a response to a part of the request.
        if error.errno not in _SERVER_LEFT:
            raise


def _read(connection: Any, method: str, limit: int) -> Response:
    """Read a response, and close the connection unless it can be used again."""
    raw = connection.response_class(connection.sock, method=method)
    try:
        raw.begin()
        headers = tuple(raw.headers.items())
        if raw.status < 200 or not is_clearly_delimited(headers, raw.headers.defects):
            raise ConnectionError("the response does not say clearly where it ends")
        body = _read_body(raw, limit)
        oversized = len(body) > limit
        if oversized:
            body = SecretBytes(body[:limit])
        if oversized or raw.will_close or not raw.isclosed():
            connection.close()
    finally:
        raw.close()
    now = connection.rested_since = read_monotonic()
    return Response(raw.status, headers, body, oversized, now - current_call.left_at)


def _read_body(raw: http.client.HTTPResponse, limit: int) -> SecretBytes:
    """Read a body to its end, or a byte beyond *limit*."""
    try:
        body = SecretBytes(raw.read(limit + 1))
        if raw.length and len(body) <= limit:
            raise ConnectionError("the connection closed before the body was complete")
    except FAILURES:
        if raw.status < 400:
            raise
        # The status of an error says what became of the grant, and the head has arrived.
        raw.will_close = True
        return SecretBytes(b"")
    return body


def is_clearly_delimited(headers: tuple[tuple[str, str], ...], defects: Any) -> bool:
    """Return whether every reader sees the same end (RFC 9112 sections 5.1, 6.2 and 6.3).

    Two readers that disagree are how responses are smuggled: what one takes for a body, the
    next takes for the next response.

    Args:
        headers: of the response.
        defects: what the parser found to be wrong with them.
    """
    framed = []
    for name, value in headers:
        match name.lower():
            case "content-length":
                framed.append(value.isascii() and value.isdigit())
            case "transfer-encoding":
                framed.append(True)
            case unusual if unusual.endswith((" ", "\t")):
                return False
    return all(framed) and len(framed) < 2 and not defects
