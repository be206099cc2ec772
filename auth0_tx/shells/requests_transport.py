"""The blocking transport: a request value in, a response value out, over ``requests``."""

from __future__ import annotations

import io
import ssl
import threading
import time
from collections import deque
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import resolve_proxies
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.util.retry import Retry

from ..core.effects import Request, Response, Send
from ..errors import Auth0Error, TransportError
from ..secret import SecretBytes, SecretStr
from .after_fork import register_renewable, renew_if_forked
from .deadline_adapter import DeadlineAdapter, HeaderValue, current
from .failures import TOO_LATE, closed, out_of_time, transport_failure
from .proxies import environment_proxy
from .tls import Trust, causes

LONGEST_CONNECT = 3.0
"""Seconds, the most that a connection may take of a call's own time."""

_CHUNK = 65_536
_NOT_SENT = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    NewConnectionError,
    ssl.SSLCertVerificationError,
)


class Gate:
    """At most so many at once: first come, first served.

    A semaphore would do, but that a busy thread which leaves it takes its place again
    before those it woke can: a few threads then keep the rest out until their deadline.
    """

    __slots__ = ("_free", "_lock", "_waiting")

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def enter(self, deadline: float, first: bool = False) -> bool:
        """Take a place; give ``False`` where none was free by *deadline*.

        Args:
            deadline: on the monotonic clock.
            first: go before those who wait already.
        """
        turn = threading.Lock()
        turn.acquire()
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            if first:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
        entered = False
        try:
            entered = turn.acquire(timeout=max(0.0, deadline - time.monotonic()))
        finally:
            # Out of time, or interrupted; and a place that was handed over in the same
            # instant is handed on.
            if not entered and not self._forget(turn):
                self.leave()
        return entered

    def _forget(self, turn: threading.Lock) -> bool:
        with self._lock:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def leave(self) -> None:
        """Give the place to the first who still waits, or back."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class RequestsTransport:
    """Connections that one client's threads share, and that belong to one process."""

    def __init__(
        self,
        session: requests.Session | None,
        trust: Trust,
        proxy: str | None,
        trust_env: bool,
        max_connections: int,
    ) -> None:
        self._session = session
        self._trust = trust
        self._proxy = proxy
        self._trust_env = trust_env
        self._max_connections = max_connections
        self._closed = False
        self._start()
        register_renewable(self)

    def renew(self) -> None:
        """Start over in a child, on connections of its own."""
        self._start()
        if self._session is not None:
            _connect_anew(self._session)

    def _start(self) -> None:
        """Begin with no connection and every lock free."""
        self._gate = Gate(self._max_connections)
        self._opening = threading.Lock()
        self._adapter: DeadlineAdapter | None = None

    def close(self) -> None:
        """Close the connections at rest; those in use end with their request."""
        renew_if_forked()
        self._closed = True
        if self._adapter is not None:
            self._adapter.close()

    def send(self, send: Send) -> Response:
        """Put a request on the wire, and read the whole answer.

        Raises:
            NotSentError: nothing of it left.
            AmbiguousError: something left, and no whole answer came back.
            ClientClosedError: it was closed while this request waited for its turn.
        """
        renew_if_forked()
        gate = self._gate
        if not gate.enter(send.deadline, send.first):
            raise out_of_time(TOO_LATE)
        try:
            outcome = closed() if self._closed else self._exchange(send)
        finally:
            gate.leave()
            if self._closed:
                # A connection that this request made after the close would stay.
                self.close()
        if isinstance(outcome, Auth0Error):
            raise outcome
        return outcome

    def _exchange(self, send: Send) -> Response | TransportError:
        """Do it, with the failure returned: what ``requests`` raises holds the request."""
        current.deadline, current.sent = send.deadline, False
        request = send.prepare()
        left = send.deadline - time.monotonic()
        if left <= 0:
            return out_of_time("the deadline passed before the request could be sent")
        timeout = min(left, LONGEST_CONNECT), left
        try:
            answer = self._put(request, timeout)
            return self._read(answer.raw, send)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return transport_failure(
                error,
                sent=current.sent
                or (self._session is not None and _may_have_left(error)),
                timed_out=isinstance(error, (requests.Timeout, TimeoutError)),
                deadline=send.deadline,
            )

    def _put(self, request: Request, timeout: tuple[float, float]) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        # Only values that do not print: an exception out of a signal handler shows an error
        # tracker the locals of every frame below.
        prepared.headers = CaseInsensitiveDict(
            {name: HeaderValue(value) for name, value in request.headers.items()}
        )
        prepared.hooks = {"response": []}
        if request.body is not None:
            prepared.body = SecretBytes(request.body)
            prepared.headers["Content-Length"] = str(len(request.body))
        proxies = self._proxies(request.url)
        if self._session is not None:
            return _put_on(self._session, prepared, timeout, proxies)
        adapter = self._adapter or self._open()
        return adapter.send(prepared, stream=True, timeout=timeout, proxies=proxies)

    def _open(self) -> DeadlineAdapter:
        with self._opening:
            if self._adapter is None:
                context = self._trust.context()
                self._adapter = DeadlineAdapter(context, self._max_connections)
            return self._adapter

    def _proxies(self, url: str) -> dict[str, str] | None:
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = environment_proxy(url)
        return dict.fromkeys(("http", "https"), SecretStr(proxy)) if proxy else None

    def _read(self, raw: Any, send: Send) -> Response:
        """Read the body to its end or its limit; a connection cut short is not used again."""
        headers = tuple(raw.headers.items())
        if raw.status < 200 or not _is_clear(raw, headers):
            # What else is to come must not become the next caller's answer.
            _discard(raw)
            raise ConnectionError("an answer came whose end is anybody's guess")
        if self._session is None:
            body = SecretBytes(raw.read(send.limit + 1, decode_content=False))
        else:
            body = _read_borrowed(raw, send)
        oversized = len(body) > send.limit
        if oversized:
            _discard(raw)
            body = SecretBytes(body[: send.limit])
        elif raw.length_remaining:
            _discard(raw)
            raise ConnectionError("the connection ended within the body")
        raw.release_conn()
        return Response(raw.status, headers, body, oversized)


def _put_on(
    session: requests.Session,
    prepared: requests.PreparedRequest,
    timeout: tuple[float, float],
    proxies: dict[str, str] | None,
) -> requests.Response:
    """Send by the adapter, and with the trust, of the application's own session.

    Not by ``Session.send``: it reads the whole body of a redirect, to follow it or not.
    """
    if proxies is None:
        found = resolve_proxies(prepared, session.proxies, session.trust_env)
        proxies = {scheme: SecretStr(proxy) for scheme, proxy in found.items()}
    adapter = _without_retries(session.get_adapter(str(prepared.url)))
    return adapter.send(
        prepared,
        stream=True,
        timeout=timeout,
        verify=session.verify,
        cert=session.cert,
        proxies=proxies,
    )


def _without_retries(adapter: BaseAdapter) -> BaseAdapter:
    """Give the application's adapter as it is, on its connections, but for its retries.

    They would send a grant again that may have been taken, and wait past the deadline.
    """
    if not isinstance(adapter, HTTPAdapter):
        return adapter
    # Not copy.copy(), for which an adapter is without its connections.
    once = object.__new__(type(adapter))
    vars(once).update(vars(adapter))
    once.max_retries = Retry(0, read=False)
    return once


def _connect_anew(session: requests.Session) -> None:
    """Have a session that was inherited leave its parent's sockets alone.

    Each adapter starts over as if it had been unpickled.  To close it would take locks
    that a thread of the parent may have held.
    """
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.__setstate__(adapter.__getstate__())


def _is_clear(raw: Any, headers: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether every reader sees the same end (RFC 9112 sections 5.1, 6.2 and 6.3)."""
    framed = []
    for name, value in headers:
        match name.lower():
            case "content-length":
                framed.append(value.isascii() and value.isdigit())
            case "transfer-encoding":
                framed.append(True)
            case unusual if unusual.endswith((" ", "\t")):
                return False
    message = getattr(getattr(raw, "_original_response", None), "msg", None)
    return all(framed) and len(framed) < 2 and not getattr(message, "defects", None)


def _discard(raw: Any) -> None:
    """Close the connection, and give its place back to a pool that blocks."""
    raw.close()
    raw.release_conn()


def _read_borrowed(raw: Any, send: Send) -> SecretBytes:
    """Read from a connection of the application's pool; close it if more has arrived.

    urllib3 gives a connection back with the last byte of the body, so it is kept from that
    until TLS was asked for more: of a record of 16 KiB, ``http.client`` reads 8 KiB at a
    time.  The pool polls the socket, which does not see the rest, and the next request would
    read it as its response.
    """
    pool, raw._pool = getattr(raw, "_pool", None), None
    try:
        body = _read_in_pieces(raw, send)
    except BaseException:
        raw._pool = pool
        _discard(raw)
        raise
    raw._pool = pool
    sock = getattr(getattr(raw, "connection", None), "sock", None)
    pending = getattr(sock, "pending", None)
    if pending is not None and pending():
        raw.close()
    return body


def _read_in_pieces(raw: Any, send: Send) -> SecretBytes:
    """Read through the application's own adapter, which knows of no deadline."""
    # A buffer, as it does not print while the next piece is awaited.
    body = io.BytesIO()
    while body.tell() <= send.limit:
        left = send.deadline - time.monotonic()
        if left <= 0:
            raw.close()
            raise TimeoutError("timed out")
        sock = _socket_beneath(raw)
        if sock is not None:
            sock.settimeout(left)
        if not body.write(raw.read1(_CHUNK, decode_content=False)):
            break
    return SecretBytes(body.getvalue())


def _socket_beneath(raw: Any) -> Any:
    """Give the socket that an answer is read from, while there is one."""
    beneath = raw
    for name in ("_fp", "fp", "raw", "_sock"):
        beneath = getattr(beneath, name, None)
    return beneath


def _may_have_left(error: BaseException) -> bool:
    """Tell what can be told of an adapter that keeps no note of what was sent."""
    return not any(isinstance(each, _NOT_SENT) for each in causes(error))
