"""The blocking transport: a request value in, a response value out, over ``requests``.

One request goes like this:

1. It waits at the gate for one of ``max_connections`` places, up to its deadline.
2. It is built, so that ten thousand waiting threads hold no bodies, and an assertion is
   signed when it is sent.
3. It goes out through an adapter: ours, or that of the application's ``requests.Session``.
   Ours keeps the deadline and notes when something leaves (see ``deadline_adapter``).  The
   application's knows no deadline, so each read of the body gets what is left of the time.
   ``requests_trust`` notes there when something leaves, unless the adapter has its own way to
   connect.  Then its exceptions are read for what they tell.
4. The response is read to its end or its limit.  A connection whose response is not complete,
   or not clearly delimited, is closed: what else arrives must not be the next response.

Failures are returned to ``send`` and raised there, because an exception of ``requests``
refers to the request.
"""

from __future__ import annotations

import io
import os
import ssl
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import TimeoutError as LibraryTimeoutError
from urllib3.util.retry import Retry

from ..clocks import read_monotonic
from ..core.effects import Request, Response, Send
from ..errors import Auth0Error, ConfigurationError
from ..secret import SecretBytes, SecretStr
from . import after_fork
from .after_fork import register_renewable, renew_if_forked
from .deadline_adapter import DeadlineAdapter, current_call
from .failures import (
    client_closed_error,
    crowded_error,
    iterate_causes,
    timeout_error,
    to_transport_error,
)
from .flights import ThreadFlights
from .proxies import environment_proxy
from .requests_trust import (
    check_session,
    choose_bundle,
    find_session_proxies,
    watch_connections,
)
from .response_readers import has_surplus
from .thread_gate import Gate, Visit
from .tls import Trust
from .urllib3_wire import (
    FAILURES,
    is_clearly_delimited,
    is_observed,
    is_session_observed,
    send_request,
)

LONGEST_CONNECT = 3.0
"""Seconds that connecting may take of a call's time, so that another attempt is possible."""

_CHUNK = 65_536

# Raised before anything of a request has left, by adapters that keep no note of it.
_NOT_SENT = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    NewConnectionError,
    ssl.SSLCertVerificationError,
)


class RequestsTransport:
    """Connections of one client, shared by its threads and never by two processes."""

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
            _drop_connections(self._session)

    def _start(self) -> None:
        """Begin with no connection and every lock free."""
        self._gate = Gate(self._max_connections)
        self._openings = ThreadFlights()
        self._adapter: DeadlineAdapter | None = None

    def close(self) -> None:
        """Close the connections at rest; those in use end with their request."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections at rest; the next request opens others."""
        renew_if_forked()
        if self._adapter is not None:
            self._adapter.close()

    def send(self, send: Send) -> Response:
        """Put a request on the wire, and return the whole response.

        Raises:
            NotSentError: nothing of it left.
            AmbiguousError: something left, and no complete response came back.
            ClientClosedError: the client was closed while this request waited.
        """
        # The comparison is here too, because a call for it would cost as much again.
        if os.getpid() != after_fork.process_id:
            renew_if_forked()
        gate, visit = self._gate, Visit(send.deadline)
        outcome: Response | Auth0Error
        try:
            try:
                if not gate.enter(visit, send.first):
                    outcome = crowded_error()
                elif self._closed:
                    outcome = client_closed_error()
                else:
                    outcome = self._exchange(send)
            finally:
                gate.leave(visit)
        finally:
            # Again, as an interrupt may have cut off the first time.
            gate.leave(visit)
            if self._closed:
                # A connection that this request made after the close would stay open.
                self.close()
        if isinstance(outcome, Auth0Error):
            raise outcome
        return outcome

    def _exchange(self, send: Send) -> Response | Auth0Error:
        """Send a request and read its response; return what went wrong as our error."""
        current_call.deadline, current_call.sent = send.deadline, False
        current_call.is_watched = self._session is None
        request = send.prepare()
        now = read_monotonic()
        left = send.deadline - now
        if left <= 0:
            return crowded_error()
        current_call.latest, current_call.left_at = request.latest, now
        timeout = min(left, LONGEST_CONNECT), left
        try:
            self._check_trust(request.url)
            proxy = self._find_proxy(request.url)
            if self._may_write_directly(request.url, proxy):
                adapter = self._adapter or self._open()
                pool = adapter.find_pool(request.url, proxy)
                return send_request(pool, request, send, timeout[0])
            response = self._put(request, timeout, proxy)
            return self._read(response.raw, send)
        except ConfigurationError as error:
            # A copy, as the frames of this one refer to the request.
            return error.evolve()
        except FAILURES as error:
            return to_transport_error(
                error,
                sent=current_call.sent
                or (not current_call.is_watched and _may_have_left(error)),
                timed_out=_has_timed_out(error),
                deadline=send.deadline,
            )

    def _check_trust(self, url: str) -> None:
        """Check that connections will verify the server, as it may have changed.

        Raises:
            ConfigurationError: they will not.
        """
        if self._session is None:
            self._trust.check()
        else:
            check_session(self._session, url)

    def _may_write_directly(self, url: str, proxy: SecretStr | None) -> bool:
        """Return whether the layers of ``requests`` and urllib3 have nothing to do."""
        if self._session is not None or is_observed():
            return False
        # A request without a tunnel needs the proxy's credentials, and another target.
        return proxy is None or url.startswith("https:")

    def _put(
        self,
        request: Request,
        timeout: tuple[float, float],
        proxy: SecretStr | None,
    ) -> requests.Response:
        """Send *request*, and return when the head of the response is there."""
        # Not Request.prepare(), which would encode and check again what the core has built.
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        # Only values that do not print: an exception out of a signal handler shows an error
        # tracker the locals of every frame below.
        prepared.headers = CaseInsensitiveDict(
            {name: SecretStr(value) for name, value in request.headers.items()}
        )
        prepared.hooks = {"response": []}
        if request.body is not None:
            prepared.body = SecretBytes(request.body)
            prepared.headers["Content-Length"] = str(len(request.body))
        proxies: dict[str, str] | None = None
        if proxy is not None:
            proxies = {"http": proxy, "https": proxy}
        if self._session is not None:
            bundle = self._trust.find_environment_bundle()
            return _put_on(self._session, prepared, timeout, bundle, proxies)
        adapter = self._adapter or self._open()
        return _send_through(adapter, prepared, timeout=timeout, proxies=proxies)

    def _open(self) -> DeadlineAdapter:
        """Return the adapter, which one thread makes for all that come meanwhile."""
        return self._openings.run_once(
            "adapter",
            self._make_adapter,
            current_call.deadline,
            lambda: timeout_error("timed out before the CA bundle was loaded"),
        )

    def _make_adapter(self) -> DeadlineAdapter:
        if self._adapter is None:
            context = self._trust.load_context()
            self._adapter = DeadlineAdapter(context, self._max_connections)
        return self._adapter

    def _find_proxy(self, url: str) -> SecretStr | None:
        """Return the proxy that the client or the environment names, if they do."""
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = environment_proxy(url)
        return SecretStr(proxy) if proxy else None

    def _read(self, raw: Any, send: Send) -> Response:
        """Read the body to its end or its limit; close a connection that has more to come."""
        headers = tuple(raw.headers.items())
        message = getattr(getattr(raw, "_original_response", None), "msg", None)
        defects = getattr(message, "defects", None)
        if raw.status < 200 or not is_clearly_delimited(headers, defects):
            _discard(raw)
            raise ConnectionError("the response does not say clearly where it ends")
        try:
            body = _read_body(raw, send, read_in_pieces=self._session is not None)
            if raw.length_remaining and len(body) <= send.limit:
                raise ConnectionError(
                    "the connection closed before the body was complete"
                )
        except FAILURES:
            _discard(raw)
            if raw.status < 400:
                raise
            # The status of an error says what became of the grant, and the head has arrived.
            body = SecretBytes(b"")
        oversized = len(body) > send.limit
        if oversized:
            _discard(raw)
            body = SecretBytes(body[: send.limit])
        _give_back_connection(raw)
        seconds = read_monotonic() - current_call.left_at
        return Response(raw.status, headers, body, oversized, seconds)


def _put_on(
    session: requests.Session,
    prepared: requests.PreparedRequest,
    timeout: tuple[float, float],
    bundle: str | None,
    proxies: dict[str, str] | None,
) -> requests.Response:
    """Send through the adapter, and with the trust, of the application's own session.

    Not through the session itself, which reads the whole body of a redirect, whether it follows
    it or not, keeps the response's cookies and calls the session's hooks.
    """
    if proxies is None:
        proxies = find_session_proxies(session, prepared)
    url = str(prepared.url)
    adapter = _without_retries(session.get_adapter(url))
    if _is_mocked(session):
        return _send_to_mock(session, prepared, timeout=timeout)
    if isinstance(adapter, HTTPAdapter):
        watch_connections(adapter, url)
    return _send_through(
        adapter,
        prepared,
        timeout=timeout,
        verify=choose_bundle(session, adapter, bundle),
        cert=session.cert,
        proxies=proxies,
    )


def _send_through(
    adapter: BaseAdapter, prepared: requests.PreparedRequest, **keywords: Any
) -> requests.Response:
    """Send through an adapter, and past whoever has replaced ``Session.send``."""
    if not is_session_observed():
        return adapter.send(prepared, stream=True, **keywords)
    session = _BareSession(adapter)
    if _is_mocked(session):
        return _send_to_mock(session, prepared, **keywords)
    return session.send(prepared, stream=True, allow_redirects=False, **keywords)


class _BareSession(requests.Session):
    """A session that adds nothing to a request, and does nothing with the response.

    Tracers such as the instrumentation of OpenTelemetry replace ``send`` of the parent.
    """

    def __init__(self, adapter: BaseAdapter) -> None:
        super().__init__()
        self.cookies = _NoCookies()
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return nothing: the parent would read the whole body of a redirect."""


class _NoCookies(RequestsCookieJar):
    """A jar that stays empty."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave the cookies of a response alone."""


def _is_mocked(session: requests.Session) -> bool:
    """Return whether requests-mock stands in for the session, as in an application's tests.

    It replaces ``Session.send``, and has its adapter in place only while that runs.
    """
    return getattr(session.send, "__module__", None) == "requests_mock.mocker"


def _send_to_mock(
    session: requests.Session, prepared: requests.PreparedRequest, **keywords: Any
) -> requests.Response:
    response = session.send(prepared, stream=True, allow_redirects=False, **keywords)
    # Its ``json=`` makes a response without a media type, which no server sends.
    response.raw.headers.setdefault("Content-Type", "application/json")
    return response


def _without_retries(adapter: BaseAdapter) -> BaseAdapter:
    """Return the application's adapter on the same connections, but without its retries.

    They would send a grant again that may have been used, and wait past the deadline.
    """
    if not isinstance(adapter, HTTPAdapter):
        return adapter
    # Not copy.copy(), which leaves the connections out.
    once = object.__new__(type(adapter))
    vars(once).update(vars(adapter))
    once.max_retries = Retry(0, read=False)
    return once


def _drop_connections(session: requests.Session) -> None:
    """Have a session that was inherited leave its parent's sockets alone.

    Each adapter starts over as if it had been unpickled.  Closing it would take locks that a
    thread of the parent may have held.
    """
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.__setstate__(adapter.__getstate__())


def _discard(raw: Any) -> None:
    """Close the connection, and give its place back to a pool that blocks."""
    raw.close()
    raw.release_conn()


def _read_body(raw: Any, send: Send, *, read_in_pieces: bool) -> SecretBytes:
    """Read the body while nobody else can have the connection.

    urllib3 gives a connection back to its pool with the last byte of the body, so the pool is
    taken away from the response meanwhile.
    """
    pool, raw._pool = getattr(raw, "_pool", None), None
    try:
        if read_in_pieces:
            body = _read_in_pieces(raw, send)
        else:
            body = SecretBytes(raw.read(send.limit + 1, decode_content=False))
    except BaseException:
        raw._pool = pool
        _discard(raw)
        raise
    raw._pool = pool
    # Of a TLS record of 16 KiB, ``http.client`` reads 8 KiB at a time.  A pool polls the socket,
    # which does not see the rest, and the next request would read it as its response.
    sock = getattr(getattr(raw, "connection", None), "sock", None)
    pending = getattr(sock, "pending", None)
    original = getattr(raw, "_original_response", None)
    if has_surplus(original) or (pending is not None and pending()):
        raw.close()
    return body


def _give_back_connection(raw: Any) -> None:
    """Return the connection of a response that was read to the end to its pool.

    A response closes its connection when it is freed.  ``release_conn`` lets go of it only when
    the pool has it already.  If an interrupt strikes between the two, the response may be freed
    while somebody else's request is on the connection.
    """
    pool = getattr(raw, "_pool", None)
    connection = getattr(raw, "_connection", None)
    if pool is None or connection is None:
        raw.release_conn()
        return
    raw._connection = None
    pool._put_conn(connection)


def _read_in_pieces(raw: Any, send: Send) -> SecretBytes:
    """Read through the application's own adapter, which knows of no deadline."""
    # A buffer, as it does not print while the next piece is awaited.
    body = io.BytesIO()
    while body.tell() <= send.limit:
        left = send.deadline - read_monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        sock = _find_socket(raw)
        if sock is not None:
            sock.settimeout(left)
        if not body.write(raw.read1(_CHUNK, decode_content=False)):
            break
    return SecretBytes(body.getvalue())


def _find_socket(raw: Any) -> Any:
    """Return the socket that a response is read from, while there is one."""
    beneath = raw
    for name in ("_fp", "fp", "raw", "_sock"):
        beneath = getattr(beneath, name, None)
    return beneath


def _has_timed_out(error: BaseException) -> bool:
    # A connection that was refused is a timeout by its class in urllib3, as it once was.
    return isinstance(
        error, (requests.Timeout, LibraryTimeoutError, TimeoutError)
    ) and not isinstance(error, NewConnectionError)


def _may_have_left(error: BaseException) -> bool:
    """Return what an exception of the application's adapter tells about the request."""
    return not any(isinstance(cause, _NOT_SENT) for cause in iterate_causes(error))
