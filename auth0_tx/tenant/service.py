"""From a received request to the steps that answer it: record, fault or reply.

Theory of operation. The server knows sockets and the endpoints know the tenant; this
module joins them. For each request it records what was received, takes the first
injected fault that fits, if there is one, and otherwise asks the endpoint that ``path``
and method name. A request is recorded before it is answered, so that a test that counts
requests also counts those whose answer a fault withheld.

Opens no socket itself: ``respond`` can be called without one, and ``deliver`` and
``greet`` yield steps that a connection performs.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from attrs import define

from . import logout, metadata, refresh, token_endpoint, userinfo
from .connection import Close, Step, Write
from .faults import Exchange, Fault
from .http1 import WireReply, serialize
from .http_messages import ReceivedRequest, Reply
from .registry import History
from .state import TenantState

_Endpoint = Callable[[TenantState, ReceivedRequest], Reply]

_ENDPOINTS: Mapping[tuple[str, str], _Endpoint] = {
    **{("GET", path): metadata.answer_discovery for path in metadata.DISCOVERY_PATHS},
    ("GET", metadata.JWKS_PATH): metadata.answer_jwks,
    ("POST", token_endpoint.PATH): token_endpoint.answer_token_request,
    ("POST", refresh.REVOCATION_PATH): refresh.answer_revocation,
    # OIDC Core 5.3.1: /userinfo takes both methods.
    ("GET", userinfo.PATH): userinfo.answer_userinfo,
    ("POST", userinfo.PATH): userinfo.answer_userinfo,
    ("GET", logout.PATH): logout.answer_logout,
}


def respond(state: TenantState, request: ReceivedRequest) -> Reply:
    """Return the tenant's reply to ``request``: the whole tenant as one function."""
    # RFC 9110 9.3.2: HEAD is GET without the content.
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = _ENDPOINTS.get((method, request.path))
    if endpoint is None:
        body = {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
        return Reply.of(body, status=404)
    return endpoint(state, request)


@define
class _InjectedFault:
    fault: Fault
    path: str | None
    times_left: int | None


class TenantService:
    """Record every request, and play the fault injected for it or answer it.

    Args:
        answer: Decide the reply to a request; this has the side effects.
        clock: Return the tenant's time in seconds since the epoch.
        history: How many requests to keep.
    """

    def __init__(
        self,
        answer: Callable[[ReceivedRequest], Reply],
        clock: Callable[[], float],
        history: int,
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._requests: History[ReceivedRequest] = History(history)
        # Counted apart: the history forgets, a count does not.
        self._counts: Counter[str] = Counter()
        self._injected: list[_InjectedFault] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Return the requests in the history, oldest first."""
        return self._requests.items

    def count(self, path: str) -> int:
        """Return how many requests of ``path`` were received."""
        return self._counts[path]

    def inject(self, fault: Fault, path: str | None, times: int | None) -> None:
        """Play ``fault`` for the next ``times`` requests of ``path``.

        Args:
            fault: The fault.
            path: Which requests; ``None`` for any.
            times: How often; ``None`` for always.
        """
        with self._lock:
            self._injected.append(_InjectedFault(fault, path, times))

    def clear(self) -> None:
        """Forget the requests received, and the faults not yet played."""
        with self._lock:
            self._injected.clear()
            self._counts.clear()
        self._requests.clear()

    def greet(self) -> Iterator[Step]:
        """Yield the steps to take on a new connection before its TLS handshake."""
        # No request is known yet, so that a fault's path cannot count here.
        fault = self._take_fault(lambda injected: injected.fault.greet is not None)
        if fault is not None and fault.greet is not None:
            yield from fault.greet()

    def deliver(self, request: ReceivedRequest, keep_alive: bool) -> Iterator[Step]:
        """Yield the steps that answer ``request``."""
        self._requests.append(request)
        # Connections run at once, and += on a counter is a read and a write.
        with self._lock:
            self._counts[request.path] += 1
        fault = self._take_fault(
            lambda injected: (
                injected.fault.deliver is not None
                and injected.path in (None, request.path)
            )
        )

        def serialize_reply(reply: Reply) -> WireReply:
            return serialize(
                reply,
                now=self._clock(),
                keep_alive=keep_alive,
                head_only=request.method == "HEAD",
            )

        if fault is not None and fault.deliver is not None:
            exchange = Exchange(request, lambda: self._answer(request), serialize_reply)
            yield from fault.deliver(exchange)
        else:
            wire = serialize_reply(self._answer(request))
            yield Write(wire.head + wire.body)
        # The head has promised it: Connection: close (RFC 9112 9.6).
        if not keep_alive:
            yield Close()

    def _take_fault(self, fits: Callable[[_InjectedFault], bool]) -> Fault | None:
        """Use the first injected fault that ``fits`` and return it, or ``None``."""
        with self._lock:
            injected = next((fault for fault in self._injected if fits(fault)), None)
            if injected is None:
                return None
            if injected.times_left is not None:
                injected.times_left -= 1
                if injected.times_left <= 0:
                    self._injected.remove(injected)
            return injected.fault
