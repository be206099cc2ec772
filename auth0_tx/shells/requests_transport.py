"""The blocking transport: a request value in, a response value out, over ``requests``."""

from __future__ import annotations

import threading
import time
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from ..core.configuration import Verify
from ..core.effects import Request, Response, Send
from ..errors import TransportError
from .after_fork import renew_after_fork
from .deadline_adapter import DeadlineAdapter, current
from .environment import environment_proxy
from .failures import out_of_time, transport_failure
from .tls import tls_context

LONGEST_CONNECT = 3.0
"""Seconds, the most that a connection may take of a call's own time."""

_CHUNK = 65_536
_NOT_SENT = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
)


class RequestsTransport:
    """Connections that one client's threads share, and that belong to one process."""

    def __init__(
        self,
        session: requests.Session | None,
        verify: Verify,
        proxy: str | None,
        trust_env: bool,
        max_connections: int,
    ) -> None:
        self._session = session
        self._verify = verify
        self._proxy = proxy
        self._trust_env = trust_env
        self._max_connections = max_connections
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start over with no connection and every lock free: at first, and after a fork."""
        self._gate = threading.Semaphore(self._max_connections)
        self._opening = threading.Lock()
        self._adapter: DeadlineAdapter | None = None

    def close(self) -> None:
        """Close the connections at rest; those in use end with their request."""
        if self._adapter is not None:
            self._adapter.close()

    def send(self, send: Send) -> Response:
        """Put a request on the wire, and read the whole answer.

        Raises:
            NotSentError: nothing of it left.
            AmbiguousError: something left, and no whole answer came back.
        """
        gate, remaining = self._gate, send.deadline - time.monotonic()
        if remaining <= 0 or not gate.acquire(timeout=remaining):
            raise out_of_time("no connection was free before the deadline")
        try:
            outcome = self._exchange(send)
        finally:
            gate.release()
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def _exchange(self, send: Send) -> Response | TransportError:
        """Do it, with the failure returned: what ``requests`` raises holds the request."""
        current.deadline, current.sent = send.deadline, False
        request = send.prepare()
        left = send.deadline - time.monotonic()
        if left <= 0:
            return out_of_time("the deadline passed before the request could be sent")
        timeout = Timeout(connect=min(left, LONGEST_CONNECT), read=left)
        try:
            answer = self._put(request, timeout)
            return self._read(answer.raw, send)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return transport_failure(
                error,
                sent=current.sent or (self._session is not None and _may_have_left(error)),
                timed_out=isinstance(error, (requests.Timeout, TimeoutError)),
                deadline=send.deadline,
            )

    def _put(self, request: Request, timeout: Timeout) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.headers = CaseInsensitiveDict(request.headers)
        prepared.hooks = {"response": []}
        if request.body is not None:
            prepared.body = bytes(request.body)
            prepared.headers["Content-Length"] = str(len(request.body))
        proxies = self._proxies(request.url)
        if self._session is not None:
            kwargs: dict[str, Any] = {"proxies": proxies} if proxies else {}
            return self._session.send(
                prepared, stream=True, timeout=timeout, allow_redirects=False, **kwargs
            )
        adapter = self._adapter or self._open()
        return adapter.send(prepared, stream=True, timeout=timeout, proxies=proxies)

    def _open(self) -> DeadlineAdapter:
        with self._opening:
            if self._adapter is None:
                context = tls_context(self._verify, self._trust_env)
                self._adapter = DeadlineAdapter(context, self._max_connections)
            return self._adapter

    def _proxies(self, url: str) -> dict[str, str] | None:
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = environment_proxy(url)
        return {"http": proxy, "https": proxy} if proxy else None

    def _read(self, raw: Any, send: Send) -> Response:
        """Read the body to its end or its limit; a connection cut short is not used again."""
        headers = tuple(raw.headers.items())
        if self._session is None:
            body = raw.read(send.limit + 1, decode_content=False)
        else:
            body = _read_in_pieces(raw, send)
        oversized = len(body) > send.limit
        if oversized:
            raw.close()
            body = body[: send.limit]
        raw.release_conn()
        return Response(raw.status, headers, body, oversized)


def _read_in_pieces(raw: Any, send: Send) -> bytes:
    """Read through the application's own adapter, which knows of no deadline."""
    body = b""
    while len(body) <= send.limit:
        if time.monotonic() > send.deadline:
            raw.close()
            raise TimeoutError("timed out")
        piece = raw.read1(_CHUNK, decode_content=False)
        if not piece:
            break
        body += piece
    return body


def _may_have_left(error: BaseException) -> bool:
    return not isinstance(error, _NOT_SENT) and "NewConnectionError" not in repr(error)
